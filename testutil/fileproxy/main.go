// Command fileproxy writes the modules of this repository, as the working tree has them, in the
// form of a module proxy: what a consumer would get once they are published under a version.
//
//	go run ./testutil/fileproxy DIR VERSION
//	GOPROXY=file://DIR,https://proxy.golang.org GONOSUMDB='github.com/tssbackup/*' go get …
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run ./testutil/fileproxy DIR VERSION")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "fileproxy:", err)
		os.Exit(1)
	}
}

func run(proxy, version string) error {
	root, err := git(".", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	// What is tracked, with the changes that are not committed.
	revision, err := git(root, "stash", "create")
	if err == nil && revision == "" {
		revision, err = git(root, "rev-parse", "HEAD")
	}
	if err != nil {
		return err
	}
	tree, err := os.MkdirTemp("", "fileproxy")
	if err != nil {
		return err
	}
	defer func(dir string) { _ = os.RemoveAll(dir) }(tree)
	archive := filepath.Join(tree, "archive.tar")
	if _, err := git(root, "archive", "--output", archive, revision); err != nil {
		return err
	}
	tree = filepath.Join(tree, "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		return err
	}
	if out, err := exec.Command("tar", "-xf", archive, "-C", tree).CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w: %s", err, out)
	}
	work, err := os.ReadFile(filepath.Join(tree, "go.work"))
	if err != nil {
		return err
	}
	workspace, err := modfile.ParseWork("go.work", work, nil)
	if err != nil {
		return err
	}
	for _, use := range workspace.Use {
		if err := write(proxy, version, filepath.Join(tree, use.Path)); err != nil {
			return fmt.Errorf("module %s: %w", use.Path, err)
		}
	}
	return nil
}

// write writes the module in a folder.
func write(proxy, version, folder string) error {
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return err
	}
	path := modfile.ModulePath(mod)
	escaped, err := module.EscapePath(path)
	if err != nil {
		return err
	}
	dir := filepath.Join(proxy, escaped, "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var packed bytes.Buffer
	at := module.Version{Path: path, Version: version}
	if err := zip.CreateFromDir(&packed, at, folder); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Unix(0, 0).UTC()})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		version + ".zip": packed.Bytes(), version + ".mod": mod,
		version + ".info": info, "list": []byte(version + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	fmt.Println(path, version)
	return nil
}

func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %s", strings.Join(args, " "), bytes.TrimSpace(exit.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}
