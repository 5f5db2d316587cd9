package command

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is the result of version in JSON.
type versionInfo struct {
	Version string `json:"version"`
	// Commit is empty when the binary does not know it.
	Commit string `json:"commit"`
	Go     string `json:"go"`
}

func (p Program) versionCommand(in *Invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, commit := Build(in.Version)
			info := versionInfo{Version: in.Version, Commit: commit, Go: runtime.Version()}
			return in.Print(info, func(w io.Writer) { fmt.Fprintln(w, p.Name, info.Version) })
		},
	}
}

func (p Program) version() string {
	version, commit := Build(p.Version)
	switch {
	case version != "":
		return version
	case commit != "":
		return commit
	}
	return "unknown"
}

// Build says which version and commit the binary was built from: the version that the linker has
// set, or else the one that the Go command knows. The commit ends in "-dirty" when the files were
// changed. What is not known is empty.
func Build(linked string) (version, commit string) {
	version = linked
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, ""
	}
	if version == "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if commit != "" {
		commit += dirty
	}
	return version, commit
}
