//go:build !linux && !darwin

package durable

import "syscall"

func renameExclusive(string, string) error { return syscall.ENOTSUP }
