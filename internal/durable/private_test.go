package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, Write(path, nil))
	info, err := os.Stat(path)
	require.NoError(t, err)
	gid := int(info.Sys().(*syscall.Stat_t).Gid)
	for name, row := range map[string]struct {
		modes  []fs.FileMode
		ours   bool // in our groups
		folder bool
		want   bool
	}{
		"its owner's alone":                  {modes: []fs.FileMode{0o600, 0o400, 0o700, 0o000}, want: true},
		"readable by a group of ours":        {modes: []fs.FileMode{0o640, 0o440}, ours: true, want: true},
		"readable by another group":          {modes: []fs.FileMode{0o640, 0o440}},
		"writable by a group of ours":        {modes: []fs.FileMode{0o660, 0o620}, ours: true},
		"executable by it":                   {modes: []fs.FileMode{0o610, 0o550}, ours: true},
		"for everybody":                      {modes: []fs.FileMode{0o604, 0o602, 0o444, 0o644, 0o601}, ours: true},
		"a folder of the owner's":            {modes: []fs.FileMode{0o700}, folder: true, want: true},
		"a folder that a group of ours uses": {modes: []fs.FileMode{0o740, 0o750}, ours: true, folder: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range row.modes {
				at := path
				if row.folder {
					at = dir
				}
				require.NoError(t, os.Chmod(at, mode))
				info, err := os.Stat(at)
				require.NoError(t, err)
				require.NoError(t, os.Chmod(at, 0o700))
				groups := []int{gid + 1}
				if row.ours {
					groups = append(groups, gid)
				}
				require.Equal(t, row.want, private(info, groups), "%04o", mode)
			}
		})
	}
}
