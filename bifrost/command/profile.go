package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// chainProfile is what does not change from one command about a chain to the next: a file
// chains/NAME.toml in the folder tssbackup under the user's configuration, with keys that mean what
// they mean in bifrost's config.toml.
type chainProfile struct {
	ChainID   string   `toml:"chain_id"`
	Node      string   `toml:"node"`
	Witnesses []string `toml:"witnesses"`
	Prefix    string   `toml:"prefix"`
	Operators string   `toml:"operator_prefix"`
	HDPath    string   `toml:"hd_path"`
}

const chainFlag = "chain"

// ChainFlag gives a command the flag --chain, which names a profile. Its values are for those of
// the flags --chain-id, --node, --witness, --prefix, --operator-prefix and --hd-path that the
// command has; without --witness the witnesses are further nodes.
func (in *Invocation) ChainFlag(cmd *cobra.Command) {
	cmd.Flags().String(chainFlag, "",
		"name of a profile, tssbackup/chains/NAME.toml in $XDG_CONFIG_HOME or ~/.config, for the "+
			"nodes, the chain id, the prefixes and the path")
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc(chainFlag, func(
		*cobra.Command, []string, string,
	) (names []cobra.Completion, _ cobra.ShellCompDirective) {
		if dir, err := profileDir(); err == nil {
			files, _ := filepath.Glob(filepath.Join(dir, "*.toml"))
			for _, file := range files {
				names = append(names, strings.TrimSuffix(filepath.Base(file), ".toml"))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// profileDir is in $XDG_CONFIG_HOME, which is ~/.config when it is unset or, as its specification
// demands, not an absolute path.
func profileDir() (string, error) {
	config := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		user, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		config = filepath.Join(user, ".config")
	}
	return filepath.Join(config, "tssbackup", "chains"), nil
}

// applyProfile sets the flags that neither the command line nor the environment did.
func (in *Invocation) applyProfile(cmd *cobra.Command) error {
	flag := cmd.Flags().Lookup(chainFlag)
	if flag == nil || flag.Value.String() == "" {
		return nil
	}
	profile, err := readProfile(flag.Value.String())
	if err != nil {
		return fmt.Errorf("--%s: %w", chainFlag, err)
	}
	nodes := []string{profile.Node}
	witness := cmd.Flags().Lookup("witness")
	if witness == nil {
		nodes = append(nodes, profile.Witnesses...)
	}
	for _, f := range []struct {
		name   string
		values []string
	}{
		{"chain-id", []string{profile.ChainID}},
		{"node", nodes},
		{"witness", profile.Witnesses},
		{"prefix", []string{profile.Prefix}},
		{"operator-prefix", []string{profile.Operators}},
		{"hd-path", []string{profile.HDPath}},
	} {
		flag := cmd.Flags().Lookup(f.name)
		if flag == nil || flag.Changed {
			continue
		}
		for _, value := range f.values {
			if value == "" {
				continue
			}
			if err := in.imply(cmd, f.name, value); err != nil {
				return fmt.Errorf("--%s: %s: %w", chainFlag, f.name, err)
			}
			if _, several := flag.Value.(pflag.SliceValue); !several {
				break
			}
		}
	}
	return nil
}

func readProfile(name string) (p chainProfile, err error) {
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return p, fmt.Errorf("%.80q is not the name of a profile", name)
	}
	dir, err := profileDir()
	if err != nil {
		return p, err
	}
	path := filepath.Join(dir, name+".toml")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("there is no profile %s", path)
	}
	if err != nil {
		return p, err
	}
	dec := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		var unknown *toml.StrictMissingError
		if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
			return p, fmt.Errorf("%s: unknown: %s", path, strings.Join(unknown.Errors[0].Key(), "."))
		}
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}
