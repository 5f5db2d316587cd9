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
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// mpciumResident is mpcium's peak for 2,000 values of 24 KB, in bytes: its process grows from 193 MB
// to 453 and 682. A backup takes it 877 ms and has 48 MB. Measured once, on two cores.
const mpciumResident = 682e6

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
	// What getrusage says is that of the process before exec, too.
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println("peak", strings.Fields(peak)[0])
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
