package homebackup_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// What mpcium takes for 2,000 values of 24 KB: 877 ms and 48 MB for the first backup, at a peak of
// 193 MB resident, which is 453 MB at the second one and 682 MB at the third. Measured once, on a
// machine with two cores.
const mpciumResident = 193 << 20

// jobVariable names what the test's binary does instead of testing, once, in a process of its own:
// so that its peak memory is its own.
const jobVariable = "HOMEBACKUP_JOB"

var jobs = map[string]func(b testing.TB, h *host, dir string){
	"backup": func(b testing.TB, h *host, dir string) { h.create(b, dir) },
	"verify": func(b testing.TB, h *host, dir string) {
		keys := h.keys()
		all, err := homebackup.Verify(context.Background(), dir, &keys, nil)
		require.NoError(b, err)
		require.Empty(b, all[0].Damaged)
	},
	"restore": func(b testing.TB, h *host, dir string) {
		plan, err := homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
		require.NoError(b, err)
		require.NoError(b, plan.Write(context.Background(), filepath.Join(b.TempDir(), "new"), false))
	},
}

func TestMain(m *testing.M) {
	name, rest, _ := strings.Cut(os.Getenv(jobVariable), " ")
	job := jobs[name]
	if job == nil {
		os.Exit(m.Run())
	}
	home, dir, _ := strings.Cut(rest, " ")
	t := process{}
	job(t, hostOf(t, home, homekeys.Words), dir)
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	fmt.Println("peak", usage.Maxrss)
}

// A process ends when what it requires is not so.
type process struct{ testing.TB }

func (process) Helper()                      {}
func (process) Errorf(text string, a ...any) { panic(fmt.Sprintf(text, a...)) }
func (process) FailNow()                     { panic("failed") }
func (process) TempDir() (dir string)        { return os.Getenv("TMPDIR") }

// peak is the peak memory in bytes of a process that does one job.
func peak(b *testing.B, job, home, dir string) float64 {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), jobVariable+"="+job+" "+home+" "+dir, "TMPDIR="+b.TempDir())
	out, err := cmd.Output()
	require.NoError(b, err, string(out))
	_, text, found := strings.Cut(string(out), "peak ")
	require.True(b, found, string(out))
	kilobytes, err := strconv.Atoi(strings.Fields(text)[0])
	require.NoError(b, err)
	return float64(kilobytes << 10)
}

// BenchmarkKeyshares backs up, verifies and restores keyshares of 24 KB, on a real disk. Bytes are
// what the folder has; the memory is the peak of a process that does nothing else, of which an
// empty one has a part.
func BenchmarkKeyshares(b *testing.B) {
	for _, count := range []int{100, 2000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) { benchmarkKeyshares(b, count) })
	}
}

func benchmarkKeyshares(b *testing.B, count int) {
	const size = 24 << 10
	h := newHost(b, filepath.Join(b.TempDir(), "home"), homekeys.Words)
	for i := range count {
		data := make([]byte, size)
		_, _ = rand.Read(data)
		h.put(b, uint64(i+1), "localstate-a.json", string(data))
	}
	dir := filepath.Join(b.TempDir(), "backups")

	memory := func(b *testing.B, job, dir string) {
		resident := peak(b, job, h.Home, dir)
		b.ReportMetric(resident/(1<<20), "MB_resident")
		if count == 2000 {
			b.ReportMetric(resident/mpciumResident, "of_mpcium's")
		}
	}
	b.Run("first backup", func(b *testing.B) {
		for range b.N {
			fresh := filepath.Join(b.TempDir(), "backups")
			h.create(b, fresh)
			b.StopTimer()
			require.NoError(b, os.RemoveAll(fresh))
			b.StartTimer()
		}
		b.StopTimer()
		memory(b, "backup", dir)
		total := 0
		for _, data := range disk.Tree(b, dir) {
			total += len(data)
		}
		b.ReportMetric(float64(total), "bytes")
		b.ReportMetric(float64(total)/float64(count*size), "of_the_keyshares'")
	})
	b.Run("one more keyshare", func(b *testing.B) {
		var written int64
		for i := range b.N {
			h.put(b, uint64(count+1+i), "localstate-a.json", fmt.Sprint(i, written))
			written = h.create(b, dir).Bytes
		}
		b.ReportMetric(float64(written), "bytes")
	})
	b.Run("nothing new", func(b *testing.B) {
		for range b.N {
			require.True(b, h.create(b, dir).Unchanged)
		}
	})
	b.Run("verify without keys", func(b *testing.B) {
		for range b.N {
			_, err := homebackup.Verify(context.Background(), dir, nil, nil)
			require.NoError(b, err)
		}
	})
	for _, job := range []string{"verify", "restore"} {
		b.Run(job, func(b *testing.B) {
			for range b.N {
				jobs[job](b, h, dir)
			}
			b.StopTimer()
			memory(b, job, dir)
		})
	}
}
