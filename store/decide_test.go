package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// cuttable forwards connections to a database until they are cut.
type cuttable struct {
	net.Listener
	conns chan net.Conn
}

func newCuttable(t *testing.T, dsn string) (*cuttable, string) {
	t.Helper()
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c := &cuttable{Listener: listener, conns: make(chan net.Conn, 100)}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(network, address)
			if err != nil {
				near.Close()
				return
			}
			c.conns <- near
			go func() { _, _ = io.Copy(far, near); far.Close() }()
			go func() { _, _ = io.Copy(near, far); near.Close() }()
		}
	}()
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	return c, "host=" + host + " port=" + port + " user=" + config.User + " password='" + config.Password + "' dbname=" + config.Database + " sslmode=disable"
}

// cut closes all connections.
func (c *cuttable) cut() {
	for {
		select {
		case conn := <-c.conns:
			conn.Close()
		default:
			return
		}
	}
}

func TestConnectionThatBreaksIsUnavailable(t *testing.T) {
	t.Parallel()
	proxy, dsn := newCuttable(t, storetest.DSN(t))
	db, err := store.Open(context.Background(), store.Config{DSN: dsn, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = db.Judge(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT 1`); err != nil {
			t.Fatal(err)
		}
		proxy.cut()
		_, err := tx.EnabledPolicies(ctx, [16]byte{})
		return err
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a query on a cut connection: %v, want ErrUnavailable", err)
	}
	err = db.Judge(ctx, func(tx *store.Tx) error {
		_, err := tx.EnabledPolicies(ctx, [16]byte{})
		proxy.cut()
		return err
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a commit on a cut connection: %v, want ErrUnavailable", err)
	}
}

// Two transactions that lock each other out are both done in the end.
func TestJudgeBeginsAnewAfterADeadlock(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	first, second := storetest.MustRepo(t, db, org, "a", ""), storetest.MustRepo(t, db, org, "b", "")
	ctx := context.Background()
	done := make(chan error, 2)
	var both sync.WaitGroup
	both.Add(2)
	for _, order := range [][]store.Repo{{first, second}, {second, first}} {
		go func() {
			var meet sync.Once
			done <- db.Judge(ctx, func(tx *store.Tx) error {
				for _, repo := range order {
					if _, err := tx.LockRepoRow(ctx, repo.ID); err != nil {
						return err
					}
					meet.Do(func() {
						both.Done()
						both.Wait()
					})
				}
				return nil
			})
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("judging: %v", err)
		}
	}
}
