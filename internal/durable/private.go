package durable

import "io/fs"

// others are the permissions of everybody but the owner.
const others = 0o077

// Private reports whether a file or folder has permissions that a secret may have: nobody but its
// owner may use it. What [Write] and [MakeFolder] make is private.
func Private(info fs.FileInfo) bool { return info.Mode().Perm()&others == 0 }
