package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

// configCmd reads and changes the settings of a node.
func configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show or change a setting of the node",
		Long: `Show or change a setting in one of the node's files: app (app.toml), client
(client.toml) or config (config.toml, CometBFT's). A setting is named by its key
after the name of its section, if it has one: p2p.laddr.`,
		RunE: client.ValidateCmd,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:     "get FILE KEY",
			Short:   "Show a setting",
			Example: "tssbackupd config get app minimum-gas-prices",
			Args:    cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				_, content, err := readConfig(cmd, args[0])
				if err != nil {
					return err
				}
				value, err := getSetting(content, args[1])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), value)
				return err
			},
		},
		&cobra.Command{
			Use:     "set FILE KEY VALUE [KEY VALUE]...",
			Short:   "Change settings",
			Example: "tssbackupd config set config consensus.timeout_commit 1s p2p.pex false",
			Args: func(_ *cobra.Command, args []string) error {
				if len(args) < 3 || len(args)%2 == 0 {
					return errors.New("want the name of a file and pairs of a key and a value")
				}
				return nil
			},
			RunE: func(cmd *cobra.Command, args []string) error {
				path, content, err := readConfig(cmd, args[0])
				if err != nil {
					return err
				}
				for pair := args[1:]; len(pair) > 0; pair = pair[2:] {
					if content, err = setSetting(content, pair[0], pair[1]); err != nil {
						return err
					}
				}
				return os.WriteFile(path, content, 0o600)
			},
		},
	)
	return cmd
}

func readConfig(cmd *cobra.Command, name string) (path string, content []byte, err error) {
	switch name {
	case "app", "client", "config":
	default:
		return "", nil, fmt.Errorf("no file %q: one of app, client, config", name)
	}
	path = filepath.Join(client.GetClientContextFromCmd(cmd).HomeDir, "config", name+".toml")
	content, err = os.ReadFile(path)
	return path, content, err
}

func getSetting(content []byte, key string) (any, error) {
	var settings map[string]any
	if err := toml.Unmarshal(content, &settings); err != nil {
		return nil, err
	}
	path := strings.Split(key, ".")
	for _, section := range path[:len(path)-1] {
		next, ok := settings[section].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("no setting %q", key)
		}
		settings = next
	}
	value, ok := settings[path[len(path)-1]]
	if !ok {
		return nil, fmt.Errorf("no setting %q", key)
	}
	return value, nil
}

// setSetting replaces the line of the setting, so that the comments around it stay.
func setSetting(content []byte, key, value string) ([]byte, error) {
	old, err := getSetting(content, key)
	if err != nil {
		return nil, err
	}
	switch old.(type) {
	case string:
		quoted, err := toml.Marshal(value)
		if err != nil {
			return nil, err
		}
		value = string(quoted)
	case map[string]any:
		return nil, fmt.Errorf("%q is a section", key)
	}

	section, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		section, name = key[:i], key[i+1:]
	}
	lines := bytes.Split(content, []byte{'\n'})
	current := ""
	for i, line := range lines {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			current = strings.Trim(text, "[]")
			continue
		}
		left, _, ok := strings.Cut(text, "=")
		if !ok || current != section || strings.Trim(strings.TrimSpace(left), `"`) != name {
			continue
		}
		lines[i] = []byte(strings.TrimSpace(left) + " = " + value)
		changed := bytes.Join(lines, []byte{'\n'})
		set, err := getSetting(changed, key)
		if err != nil || reflect.TypeOf(set) != reflect.TypeOf(old) {
			return nil, fmt.Errorf("%q is not a value for %s", value, key)
		}
		return changed, nil
	}
	return nil, fmt.Errorf("no line for %q", key)
}
