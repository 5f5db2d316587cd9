package verenc

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// team are workers of a test's own: as many as it wants, on any machine.
func team(limit int) *workers {
	return &workers{limit: func() int { return limit }, most: 16}
}

// verifyBoth verifies in one goroutine and in several, and fails unless both come to the same.
func verifyBoth(t testing.TB, p params, st Statement, proof []byte) (*Stored, error) {
	t.Helper()
	want, wantErr := p.verify(st, proof)
	w := team(3)
	got, err := p.verifyRows(st, proof, w.spread)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("one goroutine says %v, three say %v", wantErr, err)
	}
	require.Equal(t, want, got)
	require.Zero(t, w.atWork.Load())
	return want, wantErr
}

func TestAnyNumberOfGoroutinesComesToTheSame(t *testing.T) {
	for _, name := range benchmarkNames {
		_, st, _, proof := honest(t, suite1, name)
		wrong := bytes.Clone(proof)
		wrong[len(wrong)-1] ^= 1
		want, err := suite1.verify(st, proof)
		require.NoError(t, err)
		for limit := 1; limit <= 16; limit += sparse {
			got, err := suite1.verifyRows(st, proof, team(limit).spread)
			require.NoError(t, err)
			require.Equal(t, want, got)
			_, err = suite1.verifyRows(st, wrong, team(limit).spread)
			require.Equal(t, errProof, err)
		}
	}
}

func TestSpreadDoesEveryRowOnce(t *testing.T) {
	for limit := range 20 {
		for _, n := range []int{1, 2, 3, 16, 43, 256} {
			w := team(limit)
			done := make([]atomic.Int64, n)
			w.spread(n, func(from, to int) {
				for i := from; i < to; i++ {
					done[i].Add(1)
				}
			})
			for i := range done {
				require.EqualValues(t, 1, done[i].Load(), "row %d of %d, %d at work", i, n, limit)
			}
			require.Zero(t, w.atWork.Load())
		}
	}
}

// TestCallersShareTheHelpers holds many callers at work at once: there are no more helpers than the
// limit leaves room for, and no caller waits for another.
func TestCallersShareTheHelpers(t *testing.T) {
	const limit, callers = 4, 10
	w := team(limit)
	var wg, all sync.WaitGroup
	all.Add(callers)
	release := make(chan struct{})
	var most atomic.Int64
	for range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			entered := sync.OnceFunc(all.Done)
			w.spread(64, func(int, int) {
				for at, seen := w.atWork.Load(), most.Load(); at > seen; seen = most.Load() {
					if most.CompareAndSwap(seen, at) {
						break
					}
				}
				entered()
				<-release
			})
		}()
	}
	all.Wait()
	require.LessOrEqual(t, w.atWork.Load(), int64(callers+limit-1))
	close(release)
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(callers+limit-1))
	require.Zero(t, w.atWork.Load())
}

// TestAPanicInARowIsTheCallers lets rows panic in every step of a verification: the caller gets the
// value of the first, as from one goroutine, whichever goroutine had it.
func TestAPanicInARowIsTheCallers(t *testing.T) {
	_, st, _, proof := honest(t, suite1, "both")
	const steps = 4 // the table, E and K, and R of each share
	caught := func(spread spread, step int, rows ...int) (value any) {
		defer func() { value = recover() }()
		at := 0
		_, err := suite1.verifyRows(st, proof, func(n int, do func(from, to int)) {
			at++
			here := at == step
			spread(n, func(from, to int) {
				for i := from; here && i < to; i++ {
					if slices.Contains(rows, i) {
						panic(fmt.Errorf("row %d", i))
					}
				}
				do(from, to)
			})
		})
		require.NoError(t, err)
		require.Equal(t, steps, at)
		return nil
	}
	for step := 1; step <= steps; step++ {
		for _, rows := range [][]int{{0}, {1, 40}, {40, 2}, {21, 22, 23}, {42}} {
			want := caught(serially, step, rows...)
			require.EqualError(t, want.(error), fmt.Sprintf("row %d", slices.Min(rows)))
			for range 5 {
				w := team(6)
				require.Equal(t, want, caught(w.spread, step, rows...))
				require.Zero(t, w.atWork.Load(), "a panic keeps no place")
			}
		}
	}
	require.Nil(t, caught(team(6).spread, steps+1, 0))
}

func TestAPanicOfAnyKindIsTheCallers(t *testing.T) {
	sentinel := errors.New("sentinel")
	for name, do := range map[string]func(){
		"an error":           func() { panic(sentinel) },
		"an index":           func() { _ = []byte(t.Name())[len(t.Name())] },
		"nil":                func() { panic(nil) },
		"a nil pointer":      func() { var p *params; _ = p.rows },
		"a text":             func() { panic("text") },
		"a text of a format": func() { panic(fmt.Sprintf("%d", 1)) },
	} {
		got := func(s spread) (value any) {
			defer func() { value = recover() }()
			s(64, func(int, int) { do() })
			return "no panic"
		}
		require.Equal(t, fmt.Sprint(got(serially)), fmt.Sprint(got(team(4).spread)), name)
	}
}

// TestVerifyUsesTheCoresThereAre looks at the workers of the process: with one core there are no
// helpers, and whatever was, nobody is at work afterwards.
func TestVerifyUsesTheCoresThereAre(t *testing.T) {
	_, st, _, proof := honest(t, suite1, "both")
	for _, cores := range []int{1, 2, 4} {
		before := runtime.GOMAXPROCS(cores)
		helpers := rowWorkers.begin(100)
		rowWorkers.atWork.Add(-int64(helpers) - 1)
		_, err := Verify(st, proof)
		runtime.GOMAXPROCS(before)
		require.NoError(t, err)
		require.Equal(t, cores-1, helpers)
		require.Zero(t, rowWorkers.atWork.Load())
	}
}

// BenchmarkVerifyOnAllCores times one goroutine and all cores by turns, and takes the fastest turn of
// each, for a machine has other work too. On one whose cores are never idle serial/parallel says
// little; serial/two-cores is what two idle ones would give: the parts of each step are done one
// after the other, and of their fastest times only that of the slower part counts.
func BenchmarkVerifyOnAllCores(b *testing.B) {
	cases := benchmarkCases(b)
	for _, name := range benchmarkNames {
		b.Run(name, func(b *testing.B) {
			st, proof := cases[name].statement(), cases[name].Proof
			var serial, parallel, rest fastest
			const cores = 2
			var whole []fastest        // of each step
			var parts [][cores]fastest // of each step
			for b.Loop() {
				start := time.Now()
				_, err := suite1.verify(st, proof)
				require.NoError(b, err)
				serial.note(lap(&start))
				_, err = Verify(st, proof)
				require.NoError(b, err)
				parallel.note(lap(&start))

				step := 0
				_, err = suite1.verifyRows(st, proof, func(n int, do func(from, to int)) {
					if step == len(parts) {
						whole, parts = append(whole, fastest{}), append(parts, [cores]fastest{})
					}
					start := time.Now()
					do(0, n)
					whole[step].note(lap(&start))
					step++
				})
				require.NoError(b, err)
				start = time.Now()
				step = 0
				var inParts time.Duration
				_, err = suite1.verifyRows(st, proof, func(n int, do func(from, to int)) {
					start := time.Now()
					for i := range cores {
						do(i*n/cores, (i+1)*n/cores)
						d := lap(&start)
						parts[step][i].note(d)
						inParts += d
					}
					step++
				})
				require.NoError(b, err)
				rest.note(lap(&start) - inParts)
			}
			steps, longest := rest.time, rest.time
			for step, p := range parts {
				steps += whole[step].time
				longest += max(p[0].time, p[1].time)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(serial.time.Microseconds()), "serial-µs")
			b.ReportMetric(float64(parallel.time.Microseconds()), "parallel-µs")
			b.ReportMetric(float64(rest.time.Microseconds()), "not-spread-µs")
			b.ReportMetric(float64(serial.time)/float64(parallel.time), "serial/parallel")
			b.ReportMetric(float64(steps)/float64(longest), "serial/two-cores")
		})
	}
}

// fastest is the shortest of some times.
type fastest struct{ time time.Duration }

func (f *fastest) note(d time.Duration) {
	if f.time == 0 || d < f.time {
		f.time = d
	}
}
