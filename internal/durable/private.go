package durable

import (
	"io/fs"
	"os"
	"slices"
	"syscall"
)

const (
	// others are the permissions of everybody but the owner.
	others = 0o077
	// ofGroup are those that the group of a secret file may have.
	ofGroup = 0o040
)

// Private reports whether a file or folder has permissions that a secret may have: nobody but its
// owner may use it. What [Write] and [MakeFolder] make is private. A file may also be one that the
// groups of this process may read and nobody may write but its owner: that is how Kubernetes hands
// secrets to a process that is not root, whatever mode was asked for.
func Private(info fs.FileInfo) bool {
	groups, err := os.Getgroups()
	if err != nil {
		groups = nil
	}
	return private(info, append(groups, os.Getegid()))
}

func private(info fs.FileInfo, groups []int) bool {
	switch info.Mode().Perm() & others {
	case 0:
		return true
	case ofGroup:
		stat, ok := info.Sys().(*syscall.Stat_t)
		return ok && info.Mode().IsRegular() && slices.Contains(groups, int(stat.Gid))
	}
	return false
}
