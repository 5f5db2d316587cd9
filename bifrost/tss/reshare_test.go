package tss

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	ecresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
)

// generation is an epoch of a vault and what its members have of it.
type generation struct {
	keys    keyshare.VaultKeys
	number  uint64
	members [][]byte
	files   map[string][]envelope.File // by member
}

// firstGeneration is that of a vault that follows from a name.
func firstGeneration(name string, members [][]byte) *generation {
	v := dealer.NewVault(name, "cosmos", members)
	g := &generation{
		keys: v.Keys, number: 7, members: members, files: map[string][]envelope.File{},
	}
	for i, m := range members {
		for _, f := range v.Files[i] {
			g.files[string(m)] = append(g.files[string(m)], envelope.File(f))
		}
	}
	return g
}

// epoch is what state would have. Where the members have no share of a key it has nothing that
// could be one.
func (g *generation) epoch(t testing.TB, dealers [][]byte) ceremony.Epoch {
	t.Helper()
	e := ceremony.Epoch{
		Number: g.number, Members: g.members, Threshold: thresholdOf(len(g.members)),
		Secp256k1: make([][]byte, len(g.members)), Ed25519: make([][]byte, len(g.members)),
		Dealers: dealers,
	}
	for _, f := range g.files[string(g.members[0])] {
		share, err := keyshare.Parse(f.Data)
		require.NoError(t, err)
		public, err := share.PublicShares(g.number)
		require.NoError(t, err)
		shares := e.Secp256k1
		if share.Curve() == keyshare.Ed25519 {
			shares = e.Ed25519
		}
		for _, p := range public {
			shares[indexOf(g.members, p.Member)] = p.Point
		}
	}
	return e
}

// reshareOf is a member's request, in the session of this name.
func (g *generation) reshareOf(
	t testing.TB, own []byte, dealers, next [][]byte, name string,
) ceremony.ReshareRequest {
	t.Helper()
	r := ceremony.ReshareRequest{
		Epoch: g.number + 1, Secp256k1: g.keys.Secp256k1, Ed25519: g.keys.Ed25519,
		From: g.epoch(t, dealers),
	}
	r.ID, r.Members, r.Threshold = "reshare", next, thresholdOf(len(next))
	id := sha256.Sum256([]byte(name))
	r.Session.ID = id[:]
	for _, m := range r.Taking() {
		secret := sha256.Sum256(append([]byte(name), m...))
		if bytes.Equal(m, own) {
			r.Session.Secret = secret[:]
		}
		key := secp256k1.PrivKeyFromBytes(secret[:]).PubKey()
		r.Session.Keys = append(r.Session.Keys, key.SerializeCompressed())
	}
	if among(dealers, own) {
		r.Keyshares = g.files[string(own)]
	}
	if among(next, own) {
		r.Keep = func(_ context.Context, res ceremony.KeygenResult) ([]byte, error) {
			digest := sha256.Sum256(slices.Concat(
				id[:], binary.BigEndian.AppendUint64(nil, r.Epoch), res.Secp256k1, res.Ed25519,
			))
			return digest[:], nil
		}
	}
	return r
}

// eddsaReshareOf runs the EdDSA half of a reshare alone, which takes little time.
func eddsaReshareOf(
	ctx context.Context, n *Node, r ceremony.ReshareRequest,
) (*ceremony.KeygenResult, error) {
	d, err := describeReshare(r)
	if err != nil {
		return nil, err
	}
	if d, err = d.in(r.ID, r.Session, r.Taking()); err != nil {
		return nil, err
	}
	h, err := newHanded(tsslib.Edwards(), d, r.Ed25519, r.From, r.From.Ed25519)
	if err != nil {
		return nil, err
	}
	for _, f := range r.Keyshares {
		share, err := keyshare.Parse(f.Data)
		if err != nil {
			return nil, err
		}
		if share.Curve() != keyshare.Ed25519 {
			continue
		}
		if err := n.take(r, share, h); err != nil {
			return nil, err
		}
	}
	d.build = func(at seat) ([]*instance, error) {
		return []*instance{newEdDSAReshare(at, r.Threshold, h, nil)}, nil
	}
	out := &ceremony.KeygenResult{Secp256k1: r.Secp256k1, Ed25519: r.Ed25519}
	if !among(r.Members, n.pub) {
		_, err := n.run(ctx, d)
		return out, err
	}
	var digest []byte
	d.keep = func(ctx context.Context, results []any) ([]byte, error) {
		k, err := newKeyshare(
			"cosmos", keyshare.Ed25519, results[0].(*edkeygen.LocalPartySaveData), n.pub, r.Members,
		)
		if err != nil {
			return nil, err
		}
		vault := keyshare.VaultKeys{Secp256k1: r.Secp256k1, Ed25519: r.Ed25519}
		if err := k.Check(vault, n.pub, r.Members); err != nil {
			return nil, err
		}
		data, err := k.Encode()
		if err != nil {
			return nil, err
		}
		out.Files = []envelope.File{{Name: k.FileName(), Data: data}}
		digest, err = r.Keep(ctx, *out)
		return digest, err
	}
	results, err := n.run(ctx, d)
	if err != nil {
		return nil, err
	}
	out.Certificate = results[1].([][]byte)
	return out, checkCertificate(out.Certificate, d.receivers(), hash(digest))
}

type resharer func(context.Context, *Node, ceremony.ReshareRequest) (*ceremony.KeygenResult, error)

func (net *cluster) pick(nodes ...int) (members [][]byte) {
	for _, i := range nodes {
		members = append(members, net.members[i])
	}
	return members
}

// reshare hands a generation on to the next, by these dealers, and checks what came of it.
func (net *cluster) reshare(
	t testing.TB, g *generation, dealers, next [][]byte, by resharer,
) *generation {
	t.Helper()
	results := make([]*ceremony.KeygenResult, len(net.nodes))
	var taking []int
	name := fmt.Sprint(t.Name(), g.number)
	for i, m := range net.members {
		if among(dealers, m) || among(next, m) {
			taking = append(taking, i)
		}
	}
	requests := make([]ceremony.ReshareRequest, len(net.nodes))
	for _, i := range taking {
		requests[i] = g.reshareOf(t, net.members[i], dealers, next, name)
	}
	before := map[string][]byte{}
	for m, files := range g.files {
		before[m] = slices.Concat(files[0].Data, files[len(files)-1].Data)
	}
	errs := net.each(taking, func(i int, n *Node) (err error) {
		results[i], err = by(t.Context(), n, requests[i])
		return err
	})
	out := &generation{
		keys: g.keys, number: g.number + 1, members: next, files: map[string][]envelope.File{},
	}
	for _, i := range taking {
		require.NoError(t, errs[i])
		require.Equal(t, g.keys.Secp256k1, results[i].Secp256k1)
		require.Equal(t, g.keys.Ed25519, results[i].Ed25519)
		m := net.members[i]
		if !among(next, m) {
			require.Empty(t, results[i].Files)
			continue
		}
		out.files[string(m)] = results[i].Files
		require.Len(t, results[i].Certificate, len(next))
	}
	for m, files := range g.files {
		require.Equal(t, before[m], slices.Concat(files[0].Data, files[len(files)-1].Data),
			"the present epoch's keyshares are not changed")
	}
	after := out.epoch(t, nil)
	for _, m := range next {
		for _, f := range out.files[string(m)] {
			share, err := keyshare.Parse(f.Data)
			require.NoError(t, err)
			require.NoError(t, share.Check(g.keys, m, next))
			public, err := share.PublicShares(out.number)
			require.NoError(t, err)
			for _, p := range public {
				want := after.Secp256k1
				if share.Curve() == keyshare.Ed25519 {
					want = after.Ed25519
				}
				require.Equal(t, want[indexOf(next, p.Member)], p.Point)
			}
		}
	}
	return out
}

// sign lets these members sign with the last of their files, which is of the ed25519 key.
func (net *cluster) sign(t *testing.T, g *generation, signers ...int) {
	t.Helper()
	message := []byte(t.Name())
	signatures := make([][]byte, len(net.nodes))
	errs := net.each(signers, func(i int, n *Node) (err error) {
		files := g.files[string(net.members[i])]
		signatures[i], err = n.Keysign(t.Context(), ceremony.KeysignRequest{
			ID: "sign", Keyshare: files[len(files)-1].Data, Signers: net.pick(signers...),
			Message: message,
		})
		return err
	})
	for _, i := range signers {
		require.NoError(t, errs[i])
		require.True(t, ed25519.Verify(g.keys.Ed25519, message, signatures[i]))
	}
}

// The ed25519 key goes from one epoch's members to the next's, who may be the same, more, fewer or
// others, and they sign.
func TestAReshareHandsTheKeyOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		old, dealers, next []int
		signers            []int
	}{
		{"to the same four", []int{0, 1, 2, 3}, []int{0, 1, 2}, []int{0, 1, 2, 3}, []int{0, 1, 3}},
		{"from four to five", []int{0, 1, 2, 3}, []int{0, 2, 3}, []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4}},
		{"from four to seven", []int{3, 4, 5, 6}, []int{6, 3, 4}, []int{0, 1, 2, 3, 4, 5, 6}, []int{0, 1, 2, 5, 6}},
		{"from seven to four of them", []int{0, 1, 2, 3, 4, 5, 6}, []int{0, 2, 4, 5, 6}, []int{1, 2, 3, 4}, []int{1, 2, 3}},
		{"from four to four others", []int{0, 2, 4, 6}, []int{2, 4, 6}, []int{1, 3, 5, 7}, []int{1, 3, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := newCluster(t, 8, nil)
			g := firstGeneration(c.name, net.pick(c.old...))
			next := net.reshare(t, g, net.pick(c.dealers...), net.pick(c.next...), eddsaReshareOf)
			net.sign(t, next, c.signers...)
		})
	}
}

// From four members to five, to four others among them, to seven: the last ones sign with the key
// of the first, and what earlier epochs left signs with nothing of it.
func TestAChainOfReshares(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 7, nil)
	first := firstGeneration("chain", net.pick(0, 1, 2, 3))
	second := net.reshare(t, first, net.pick(0, 1, 3), net.pick(0, 1, 2, 3, 4), eddsaReshareOf)
	third := net.reshare(t, second, net.pick(1, 2, 3, 4), net.pick(1, 2, 3, 4), eddsaReshareOf)
	last := net.reshare(t, third, net.pick(1, 2, 4), net.pick(0, 1, 2, 3, 4, 5, 6), eddsaReshareOf)
	net.sign(t, last, 0, 2, 4, 5, 6)

	// A dealer whose keyshare is of an earlier epoch does not begin.
	r := third.reshareOf(t, net.members[1], net.pick(1, 2, 4), net.pick(1, 2, 3, 4), "stale")
	r.Keyshares = second.files[string(net.members[1])]
	_, err := eddsaReshareOf(t.Context(), net.nodes[1], r)
	require.ErrorContains(t, err, "of a vault of 5 members, not 4")
	again := net.reshare(t, third, net.pick(1, 2, 4), net.pick(1, 2, 3, 4), eddsaReshareOf)
	r = again.reshareOf(t, net.members[1], net.pick(1, 2, 4), net.pick(1, 2, 3, 4), "stale")
	r.Keyshares = third.files[string(net.members[1])]
	_, err = eddsaReshareOf(t.Context(), net.nodes[1], r)
	require.ErrorContains(t, err, "is not of epoch 10")
}

// Both keys, with real parameters: four members hand their vault on to themselves, three of them
// dealing, and sign.
func TestAReshareOfBothKeys(t *testing.T) {
	noLeak(t)
	made := 0
	net := newCluster(t, 4, func(cfg *Config) {
		cfg.PreParams, cfg.Bech32Prefix = storeOf(t, made), "cosmos"
		made++
	})
	g := firstGeneration("both", net.members)
	start := time.Now()
	next := net.reshare(t, g, net.pick(1, 2, 3), net.members, reshareBoth)
	t.Logf("reshare of 4 to 4: %s", time.Since(start))
	net.sign(t, next, 0, 1, 2)
	net.signECDSA(t, next, 0, 2, 3)
}

// signECDSA lets these members sign with the first of their files. They trust the parameters, which
// were proven in the reshare.
func (net *cluster) signECDSA(t *testing.T, g *generation, signers ...int) {
	t.Helper()
	digest := sha256.Sum256([]byte(t.Name()))
	signatures := make([][]byte, len(net.nodes))
	errs := net.each(signers, func(i int, n *Node) (err error) {
		signatures[i], err = n.Keysign(t.Context(), ceremony.KeysignRequest{
			ID: "sign", Keyshare: g.files[string(net.members[i])][0].Data,
			Signers: net.pick(signers...), Message: digest[:], TrustParameters: true,
		})
		return err
	})
	for _, i := range signers {
		require.NoError(t, errs[i])
		requireECDSA(t, g.keys.Secp256k1, digest[:], signatures[i])
	}
}

// reshareBoth is Reshare.
func reshareBoth(
	ctx context.Context, n *Node, r ceremony.ReshareRequest,
) (*ceremony.KeygenResult, error) {
	return n.Reshare(ctx, r)
}

func TestReshareRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 5, func(cfg *Config) { cfg.PreParams, cfg.Bech32Prefix = storeOf(t, 0), "cosmos" })
	g := firstGeneration("refused", net.members[:4])
	other := firstGeneration("another", net.members[:4])
	dealers, next := net.pick(0, 1, 2), net.pick(0, 1, 2, 3)
	for name, change := range map[string]func(r *ceremony.ReshareRequest){
		"a dealer too few":             func(r *ceremony.ReshareRequest) { r.From.Dealers = r.From.Dealers[:2] },
		"a dealer too many":            func(r *ceremony.ReshareRequest) { r.From.Dealers = r.From.Members },
		"a dealer twice":               func(r *ceremony.ReshareRequest) { r.From.Dealers = net.pick(0, 1, 1) },
		"a dealer from elsewhere":      func(r *ceremony.ReshareRequest) { r.From.Dealers = net.pick(0, 1, 4) },
		"a member twice":               func(r *ceremony.ReshareRequest) { r.Members = net.pick(0, 1, 2, 2) },
		"a threshold beyond all":       func(r *ceremony.ReshareRequest) { r.Threshold = 5 },
		"a threshold of one":           func(r *ceremony.ReshareRequest) { r.Threshold = 1 },
		"an epoch that was before":     func(r *ceremony.ReshareRequest) { r.Epoch = r.From.Number },
		"no public shares":             func(r *ceremony.ReshareRequest) { r.From.Ed25519 = nil },
		"public shares of another key": func(r *ceremony.ReshareRequest) { r.From.Secp256k1 = other.epoch(t, dealers).Secp256k1 },
		"public shares that are none":  func(r *ceremony.ReshareRequest) { r.From.Ed25519[1] = make([]byte, 32) },
		"another vault":                func(r *ceremony.ReshareRequest) { r.Ed25519 = other.keys.Ed25519 },
		"no vault":                     func(r *ceremony.ReshareRequest) { r.Secp256k1 = nil },
		"no keyshares":                 func(r *ceremony.ReshareRequest) { r.Keyshares = nil },
		"one keyshare":                 func(r *ceremony.ReshareRequest) { r.Keyshares = r.Keyshares[1:] },
		"keyshares of another vault":   func(r *ceremony.ReshareRequest) { r.Keyshares = other.files[string(net.members[0])] },
		"another member's keyshares":   func(r *ceremony.ReshareRequest) { r.Keyshares = g.files[string(net.members[1])] },
		"a keyshare that is none":      func(r *ceremony.ReshareRequest) { r.Keyshares[0].Data = []byte("{}") },
		"this node takes no part":      func(r *ceremony.ReshareRequest) { r.Members, r.From.Dealers = net.pick(1, 2, 3), net.pick(1, 2, 3) },
		"no session":                   func(r *ceremony.ReshareRequest) { r.Session = ceremony.Session{} },
		"no id":                        func(r *ceremony.ReshareRequest) { r.ID = "" },
		"no Keep":                      func(r *ceremony.ReshareRequest) { r.Keep = nil },
	} {
		r := g.reshareOf(t, net.members[0], dealers, next, "refused")
		r.Keyshares = slices.Clone(r.Keyshares)
		change(&r)
		_, err := net.nodes[0].Reshare(t.Context(), r)
		require.Error(t, err, name)
		var blame *ceremony.BlameError
		require.False(t, errors.As(err, &blame), name)
	}
}

// How many of those who take part may be malicious, when in each epoch ⌊n/3⌋ may be.
func TestHowManyOfAReshareMayBeMalicious(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 14, nil)
	for _, c := range []struct {
		name      string
		old, next [2]int // the first, and the one behind the last
		dealers   int    // the first of them
		want      int
	}{
		{"the same four", [2]int{0, 4}, [2]int{0, 4}, 0, 1},
		{"one more", [2]int{0, 4}, [2]int{0, 5}, 0, 1},
		{"three more", [2]int{0, 4}, [2]int{0, 7}, 0, 2},
		{"three fewer", [2]int{0, 7}, [2]int{0, 4}, 0, 2},
		{"all others", [2]int{0, 4}, [2]int{4, 8}, 0, 2},
		{"seven others", [2]int{0, 7}, [2]int{7, 14}, 0, 4},
	} {
		old := net.members[c.old[0]:c.old[1]]
		g := firstGeneration("how many", old)
		next := net.members[c.next[0]:c.next[1]]
		d, err := describeReshare(g.reshareOf(t, next[0], old[:thresholdOf(len(old))], next, "x"))
		require.NoError(t, err)
		require.Equal(t, c.want, d.malicious, c.name)
	}
}

// Sums are those of tss-lib, and also where tss-lib has none: when they pass the identity.
func TestSumsOfPoints(t *testing.T) {
	t.Parallel()
	for _, p := range []*protocol{ecdsaReshare, eddsaReshare} {
		curve := p.curve()
		g := baseTimes(t, curve, 1)
		three := baseTimes(t, curve, 3)
		minus, err := combine(curve, []*big.Int{new(big.Int).Sub(curve.Params().N, big.NewInt(1))}, pointsOf(g))
		require.NoError(t, err)
		sum, err := combine(curve, nil, pointsOf(g, minus, three))
		require.NoError(t, err)
		require.True(t, sum.Equals(three))
		_, err = combine(curve, nil, pointsOf(g, minus))
		require.ErrorIs(t, err, errIdentity)
		sum, err = combine(curve, []*big.Int{big.NewInt(2), big.NewInt(5)}, pointsOf(g, three))
		require.NoError(t, err)
		require.True(t, sum.Equals(baseTimes(t, curve, 17)))
	}
}

func pointsOf(p ...*crypto.ECPoint) []*crypto.ECPoint { return p }

func baseTimes(t *testing.T, curve elliptic.Curve, k int64) *crypto.ECPoint {
	t.Helper()
	p := crypto.ScalarBaseMult(curve, big.NewInt(k))
	require.True(t, p.IsOnCurve())
	return p
}

// What a dealer commits to beside, and what it opens, when all of it fits its commitment.
func TestWhatADealerOpens(t *testing.T) {
	t.Parallel()
	one := big.NewInt(1)
	for _, p := range []*protocol{ecdsaReshare, eddsaReshare} {
		curve := p.curve()
		times := func(k int64) *crypto.ECPoint { return baseTimes(t, curve, k) }
		k := knownIn(p, sanity.Parameters{}, sanity.Parameters{})
		k.handed = &handed{key: times(5), dealt: []*crypto.ECPoint{times(3), times(2)}}
		commitment := func(change func(x, y *big.Int) (*big.Int, *big.Int), c []byte) proto.Message {
			x, y := change(times(5).X(), times(5).Y())
			if p == ecdsaReshare {
				return &ecresharing.DGRound1Message{
					EcdsaPubX: x.Bytes(), EcdsaPubY: y.Bytes(), VCommitment: c, Ssid: k.context(0, partCommitment),
				}
			}
			return &edresharing.DGRound1Message{EddsaPubX: x.Bytes(), EddsaPubY: y.Bytes(), VCommitment: c}
		}
		same := func(x, y *big.Int) (*big.Int, *big.Int) { return x, y }
		requireParsed := func(name string, step uint8, m proto.Message, want string) {
			_, _, err := p.parse(k, step, firstParty(), packed(m))
			if want == "" {
				require.NoError(t, err, "%s, %s", p.name, name)
				return
			}
			require.ErrorContains(t, err, want, "%s, %s", p.name, name)
		}
		requireParsed("the vault's key", p.commitment, commitment(same, []byte{1}), "")
		requireParsed("another key", p.commitment, commitment(func(_, _ *big.Int) (*big.Int, *big.Int) {
			return times(6).X(), times(6).Y()
		}, []byte{1}), "another key than the vault's")
		requireParsed("no key", p.commitment, commitment(func(x, y *big.Int) (*big.Int, *big.Int) {
			return x, new(big.Int).Add(y, one)
		}, []byte{1}), "another key than the vault's")
		requireParsed("a commitment that is none", p.commitment, commitment(same, make([]byte, hashSize+1)), "too long")

		type coordinates [2]*big.Int
		of := func(k int64) coordinates { return coordinates{times(k).X(), times(k).Y()} }
		field := curve.Params().P
		mirrored := func(c coordinates) coordinates { // with the point of order two of ed25519 added
			return coordinates{new(big.Int).Sub(field, c[0]), new(big.Int).Sub(field, c[1])}
		}
		negative := coordinates{of(3)[0], new(big.Int).Sub(field, of(3)[1])}
		if p == eddsaReshare {
			negative = coordinates{new(big.Int).Sub(field, of(3)[0]), of(3)[1]}
		}
		type row struct {
			name string
			list []coordinates
			want string
		}
		rows := []row{
			{"its share", []coordinates{of(3), of(1), of(2)}, ""},
			{"another dealer's share", []coordinates{of(2), of(1), of(2)}, "deals something else"},
			{"the negative of its share", []coordinates{negative, of(1), of(2)}, "deals something else"},
			{"a polynomial of a lower degree", []coordinates{of(3), of(1)}, "wrong length"},
			{"a polynomial of a higher degree", []coordinates{of(3), of(1), of(2), of(4)}, "wrong length"},
			{"what is no point", []coordinates{of(3), {one, one}, of(2)}, "not a point of the curve"},
			{"a point that is not reduced", []coordinates{of(3), of(1), {new(big.Int).Add(of(2)[0], field), of(2)[1]}}, "not a point"},
		}
		if p == eddsaReshare {
			rows = append(rows,
				row{"the identity", []coordinates{of(3), {new(big.Int), one}, of(2)}, "incomplete"},
				row{"a point beside the group", []coordinates{of(3), mirrored(of(1)), of(2)}, "outside of the base point's group"},
				row{"its share beside the group", []coordinates{mirrored(of(3)), of(1), of(2)}, "outside of the base point's group"},
			)
		}
		for _, r := range rows {
			opened := []*big.Int{big.NewInt(7)}
			for _, c := range r.list {
				opened = append(opened, c[0], c[1])
			}
			hidden := common.SHA512_256i(opened...).Bytes()
			k.sent[p.commitment][0] = commitment(same, hidden)
			opening := common.BigIntsToBytes(opened)
			if p == ecdsaReshare {
				requireParsed(r.name, p.opening, &ecresharing.DGRound3Message2{VDecommitment: opening}, r.want)
			} else {
				requireParsed(r.name, p.opening, &edresharing.DGRound3Message2{VDecommitment: opening}, r.want)
			}
		}
	}
}
