//go:build large

package tss

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

var largeSizes = flag.String("members", "7,10", "sizes of the vaults of TestLargeVaults")

// Vaults of the sizes that a chain has, with tss-lib's whole keygen and signatures by exactly the
// threshold, over loopback. It says what that takes: all members compute on this one machine.
func TestLargeVaults(t *testing.T) {
	for _, size := range strings.Split(*largeSizes, ",") {
		members, err := strconv.Atoi(strings.TrimSpace(size))
		require.NoError(t, err, "-members are numbers with commas between them")
		t.Run(fmt.Sprintf("of %d", members), func(t *testing.T) { largeVault(t, members) })
	}
}

func largeVault(t *testing.T, members int) {
	made := 0
	net := newCluster(t, members, func(cfg *Config) {
		cfg.PreParams, cfg.Bech32Prefix = storeOf(t, made), "cosmos"
		// One machine computes for all members.
		cfg.RoundTimeout = time.Duration(members) * DefaultRoundTimeout(members)
		made++
	})
	var said atomic.Int64
	for _, n := range net.nodes {
		n.mangle = func(_ *session, _ int, frame []byte) []byte {
			said.Add(int64(len(frame)))
			return frame
		}
	}
	measured := func(what string, signers int, do func()) {
		said.Store(0)
		begin, busy := time.Now(), cpu(t)
		do()
		t.Logf("%s of %d: %.1f s, %.1f s of CPU for each member, %d bytes said by each, peak memory %d MiB for all",
			what, signers, time.Since(begin).Seconds(), (cpu(t)-busy).Seconds()/float64(signers),
			said.Load()/int64(signers), peakMemory(t)>>20)
	}

	threshold := (2*members + 2) / 3
	results := make([]*ceremony.KeygenResult, members)
	measured("keygen", members, func() {
		for _, err := range net.each(net.all(), func(i int, n *Node) (err error) {
			results[i], err = n.Keygen(t.Context(), net.keygenOf(i, threshold, "attempt"))
			return err
		}) {
			require.NoError(t, err)
		}
	})
	vault := keyshare.VaultKeys{Secp256k1: results[0].Secp256k1, Ed25519: results[0].Ed25519}
	for i, r := range results {
		require.Len(t, r.Files, 2)
		for _, f := range r.Files {
			k, err := keyshare.Parse(f.Data)
			require.NoError(t, err)
			require.NoError(t, k.Check(vault, net.members[i], net.members))
		}
	}

	digest := sha256.Sum256([]byte("message"))
	signers := net.all()[members-threshold:]
	for file, curve := range []string{"secp256k1", "ed25519"} {
		signatures := make([][]byte, members)
		measured(curve+" signature", threshold, func() {
			errs := net.each(signers, func(i int, n *Node) (err error) {
				signatures[i], err = n.Keysign(context.Background(), ceremony.KeysignRequest{
					ID: "sign " + curve, Keyshare: results[i].Files[file].Data,
					Signers: net.members[members-threshold:], Message: digest[:],
				})
				return err
			})
			for _, i := range signers {
				require.NoError(t, errs[i])
			}
		})
		for _, i := range signers {
			require.True(t, bytes.Equal(signatures[signers[0]], signatures[i]))
		}
		if file == 0 {
			requireECDSA(t, vault.Secp256k1, digest[:], signatures[signers[0]])
		} else {
			require.True(t, ed25519.Verify(vault.Ed25519, digest[:], signatures[signers[0]]))
		}
	}
}

// Both keys of a vault go to more members, fewer, and others, over loopback. The last ones sign, by
// exactly their threshold.
func TestLargeReshares(t *testing.T) {
	for _, c := range []struct{ old, dealers, next, signers []int }{
		{[]int{0, 1, 2, 3}, []int{0, 2, 3}, []int{0, 1, 2, 3, 4}, []int{0, 2, 3, 4}},
		{[]int{3, 4, 5, 6}, []int{3, 4, 6}, []int{0, 1, 2, 3, 4, 5, 6}, []int{0, 1, 2, 4, 6}},
		{[]int{0, 1, 2, 3, 4, 5, 6}, []int{0, 1, 3, 4, 6}, []int{1, 2, 3, 5}, []int{1, 2, 5}},
	} {
		t.Run(fmt.Sprintf("of %d to %d", len(c.old), len(c.next)), func(t *testing.T) {
			made, members := 0, 7
			net := newCluster(t, members, func(cfg *Config) {
				cfg.PreParams, cfg.Bech32Prefix = storeOf(t, made), "cosmos"
				cfg.RoundTimeout = time.Duration(members) * DefaultRoundTimeout(members)
				made++
			})
			g := firstGeneration("large", net.pick(c.old...))
			begin, busy := time.Now(), cpu(t)
			next := net.reshare(t, g, net.pick(c.dealers...), net.pick(c.next...), reshareBoth)
			t.Logf("reshare of %d to %d: %.1f s, %.1f s of CPU for all", len(c.old), len(c.next),
				time.Since(begin).Seconds(), (cpu(t) - busy).Seconds())
			net.sign(t, next, c.signers...)
			net.signECDSA(t, next, c.signers...)
		})
	}
}

// The faults of a reshare of the secp256k1 key by a member that deals alone, and by one that only
// gets a share.
func TestLargeReshareFaults(t *testing.T) {
	everyFaultOfAReshare(t, "by one that leaves", newRecordedReshare(t, toOthers, ecdsaReshare))
	everyFaultOfAReshare(t, "by one that comes", newRecordedReshare(t, fromOthers, ecdsaReshare))
}

// cpu is what this process has computed so far.
func cpu(t *testing.T) time.Duration {
	u := usage(t)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the largest size of this process so far, in bytes.
func peakMemory(t *testing.T) int64 { return usage(t).Maxrss << 10 } // of kilobytes, on Linux

func usage(t *testing.T) (u syscall.Rusage) {
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u
}
