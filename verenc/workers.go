package verenc

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A spread calls do for parts that together are the rows from 0 to n, each once, and returns when
// all are done. A panic of do is the caller's.
type spread func(n int, do func(from, to int))

// serially is the spread of one goroutine.
func serially(n int, do func(from, to int)) { do(0, n) }

// workers spread rows over goroutines. Callers work too and never wait for a place, so none depends
// on another; helpers join them as long as no more than the limit are at work over all callers.
type workers struct {
	limit  func() int
	most   int // in one call; parts that are too small cost more than they save
	atWork atomic.Int64
}

// rowWorkers are those of the process. Nothing stays of them between calls.
var rowWorkers = workers{
	limit: func() int { return runtime.GOMAXPROCS(0) },
	most:  8,
}

// spread makes as many parts as there are goroutines. Parts are taken up in ascending order; after
// a panic no more are, and the panic of the first part that had one becomes the caller's: all parts
// before it have been taken up, so it is the same one in every run.
func (w *workers) spread(n int, do func(from, to int)) {
	helpers := w.begin(min(n, w.most) - 1)
	defer w.atWork.Add(-1)
	if helpers == 0 {
		do(0, n)
		return
	}
	parts := make([]part, helpers+1)
	var taken atomic.Int64
	work := func() {
		for i := int(taken.Add(1)) - 1; i < len(parts); i = int(taken.Add(1)) - 1 {
			if !parts[i].run(i*n/len(parts), (i+1)*n/len(parts), do) {
				taken.Store(int64(len(parts)))
			}
		}
	}
	var wg sync.WaitGroup
	for range helpers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer w.atWork.Add(-1)
			work()
		}()
	}
	work()
	wg.Wait()
	for i := range parts {
		if parts[i].panicked {
			panic(parts[i].value)
		}
	}
}

// begin counts the caller and as many helpers as there are places for, at most so many.
func (w *workers) begin(helpers int) int {
	for {
		before := w.atWork.Load()
		places := max(0, min(helpers, w.limit()-1-int(before)))
		if w.atWork.CompareAndSwap(before, before+1+int64(places)) {
			return places
		}
	}
}

// part is how the work on some rows ended.
type part struct {
	panicked bool
	value    any
}

// run reports whether do came to its end.
func (p *part) run(from, to int, do func(from, to int)) (ended bool) {
	p.panicked = true
	defer func() {
		if p.panicked {
			p.value = recover()
		}
	}()
	do(from, to)
	p.panicked = false
	return true
}
