//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package process

import "golang.org/x/sys/unix"

const (
	getTermios   = unix.TIOCGETA
	setAndFlush  = unix.TIOCSETAF
	disabledChar = 0xff
)

// stopKeys are those that would stop the process, or end it without a chance to put the terminal
// in order.
var stopKeys = []int{unix.VSUSP, unix.VDSUSP, unix.VQUIT}
