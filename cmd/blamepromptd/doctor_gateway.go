package main

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/hooks/gateway"
)

// checkGateway looks at what the SSH gateway needs.
func (p *patient) checkGateway(ctx context.Context) []finding {
	if p.cfg.SSHAddr == off {
		return []finding{{Check: "SSH gateway", Verdict: good, Text: "off"}}
	}
	return []finding{p.checkHostKey(), p.checkSSHAddr(ctx), p.checkHookProgram()}
}

// checkHostKey does not make a key: that is for the account that the daemon
// runs as.
func (p *patient) checkHostKey() finding {
	const name = "SSH host key"
	path := p.cfg.hostKeyFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return finding{Check: name, Verdict: good, Text: "made at the first start"}
	}
	key, err := gateway.HostKey(path)
	switch {
	case errors.Is(err, gateway.ErrHostKeyOpen):
		return finding{name, fail, err.Error(), "the gateway does not start until that is done"}
	case err != nil:
		return finding{name, fail, err.Error(), "restore the file from a backup; with another key clients refuse to connect"}
	}
	return finding{Check: name, Verdict: good, Text: ssh.FingerprintSHA256(key.PublicKey())}
}

// sshGreeting begins what our gateway says first (RFC 4253, 4.2).
const sshGreeting = "SSH-2.0-BlamePrompt"

// checkSSHAddr wants the address free, or served by a gateway of this program.
func (p *patient) checkSSHAddr(ctx context.Context) finding {
	const name = "SSH address"
	addr := p.cfg.SSHAddr
	if p.database != nil && p.database.daemon {
		if r, err := readRunning(p.cfg.runningFile()); err == nil && r.SSHAddr != "" {
			addr = r.SSHAddr
		}
	}
	if addr == off {
		return finding{name, warn, "the daemon that runs has no gateway", "start it anew, with ssh_addr " + p.cfg.SSHAddr}
	}
	listener, err := net.Listen("tcp", addr)
	if err == nil {
		if err := listener.Close(); err != nil {
			return finding{name, warn, err.Error(), "try again"}
		}
		if p.database != nil && p.database.daemon {
			return finding{name, warn, "a daemon runs on the data directory, but not on " + addr, "look at its ssh_addr"}
		}
		return finding{Check: name, Verdict: good, Text: addr + " is free"}
	}
	if says := hearSSH(ctx, addr); strings.HasPrefix(says, sshGreeting) {
		return finding{Check: name, Verdict: good, Text: addr + ": a gateway is there"}
	}
	return finding{name, fail, err.Error(), "stop what uses it, or set BLAMEPROMPT_SSH_ADDR"}
}

// hearSSH returns the first line that a server says.
func hearSSH(ctx context.Context, addr string) string {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return ""
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(checkTimeout)); err != nil {
		return ""
	}
	line, _ := bufio.NewReaderSize(conn, 512).ReadString('\n')
	return line
}

func (p *patient) checkHookProgram() finding {
	const name = "hook program"
	path, err := p.hookProgram()
	if err != nil {
		return finding{name, warn, err.Error(), "until then pushes through the gateway are refused; see hook_program"}
	}
	return finding{Check: name, Verdict: good, Text: path}
}
