package process

import "golang.org/x/sys/unix"

// disableEcho lets a terminal show nothing of what is typed until restore is called. Both drop what
// was typed and not read: the rest of a mnemonic that was pasted in several lines must not show, or
// reach the shell.
func disableEcho(fd int) (restore func() error, err error) {
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, setTermios, &silent); err != nil {
		return nil, err
	}
	return func() error { return unix.IoctlSetTermios(fd, setTermios, before) }, nil
}
