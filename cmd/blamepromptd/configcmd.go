package main

import "github.com/spf13/cobra"

func newConfig(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the settings in force and where each comes from, secrets masked",
		Args:  exactly(),
		RunE:  func(*cobra.Command, []string) error { return a.printConfig() },
	}
}

// settingShown is a setting in JSON.
type settingShown struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"`
	Env    string `json:"env"`
}

func (a *app) printConfig() error {
	_, list, err := a.loader.load(a.configFile)
	if err != nil {
		return err
	}
	shown := make([]settingShown, len(list))
	rows := make([][]string, len(list))
	for i, s := range list {
		shown[i] = settingShown{s.Key, s.shown(), s.Source, s.env()}
		rows[i] = []string{s.Key, s.text(), s.Source}
	}
	return a.print(shown, []string{"SETTING", "VALUE", "FROM"}, rows)
}
