package durable

import "os"

// WithoutLocks lets every lock fail with an error, until restore is called.
func WithoutLocks(err error) (restore func()) {
	before := systemFlock
	systemFlock = func(int, int) error { return err }
	return func() { systemFlock = before }
}

// WithFlush has every flush be this one, until restore is called.
func WithFlush(flush func(*os.File) error) (restore func()) {
	before := systemSync
	systemSync = flush
	return func() { systemSync = before }
}
