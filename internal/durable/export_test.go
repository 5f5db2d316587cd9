package durable

// WithoutLocks lets every lock fail with an error, until restore is called.
func WithoutLocks(err error) (restore func()) {
	before := systemFlock
	systemFlock = func(int, int) error { return err }
	return func() { systemFlock = before }
}
