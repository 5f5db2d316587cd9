package process

import "golang.org/x/sys/unix"

const (
	getTermios   = unix.TCGETS
	setAndFlush  = unix.TCSETSF
	disabledChar = 0
)

// stopKeys are those that would stop the process, or end it without a chance to put the terminal
// in order.
var stopKeys = []int{unix.VSUSP, unix.VQUIT}
