package vault_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cosmos/gogoproto/jsonpb"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/dealer/shamir"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// grouped is a vault of three members and a group part of any parameters.
func grouped(t testing.TB) (vault.Vault, []byte) {
	keys := dealer.NewPrivateKeys("grouped")
	v := vault.Vault{PubKey: keys.PubKey(), Vault: types.Vault{PubKeyEd25519: keys.PubKeyEd25519(), Epoch: 9, Split: true}}
	var entries []sanity.GroupMember
	for i := range 3 {
		v.Members = append(v.Members, types.Member{PubKey: shamir.NewKeys(string(rune('a' + i))).PubKey()})
		entries = append(entries, sanity.GroupMember{
			Secp256k1: keys.PubKey(), Ed25519: keys.PubKeyEd25519(), Parameters: bytes.Repeat([]byte{byte(i)}, sanity.ParametersBytes),
		})
	}
	group, err := sanity.MakeGroup(entries)
	require.NoError(t, err)
	return v, group
}

// answer is what the query Group says of it.
func answer(t testing.TB, v vault.Vault, group []byte) *types.QueryGroupResponse {
	entries, err := sanity.ParseGroup(group, len(v.Members))
	require.NoError(t, err)
	hash, err := types.GroupHash(v.PubKey, v.PubKeyEd25519, v.Members, sanity.GroupPoints(entries))
	require.NoError(t, err)
	a := &types.QueryGroupResponse{
		Vault: v.Name(), PubKeyEd25519: hex.EncodeToString(v.PubKeyEd25519), Epoch: v.Epoch, GroupHash: hex.EncodeToString(hash),
		Group: group, Sha256: strings.Repeat("0", 64),
	}
	for _, m := range v.Members {
		a.Members = append(a.Members, hex.EncodeToString(m.PubKey))
	}
	return a
}

func TestAGroupPartIsReadFromWhatTheQueryPrints(t *testing.T) {
	v, group := grouped(t)
	var printed bytes.Buffer
	require.NoError(t, (&jsonpb.Marshaler{OrigName: true, EmitDefaults: true, Indent: "  "}).Marshal(&printed, answer(t, v, group)))
	kept, err := v.EncodeGroup(group)
	require.NoError(t, err)
	for name, data := range map[string][]byte{"the query": printed.Bytes(), "a file": kept} {
		t.Run(name, func(t *testing.T) {
			got, part, err := vault.ParseGroup(data)
			require.NoError(t, err)
			require.Equal(t, group, part)
			require.Equal(t, v.PubKey, got.PubKey)
			require.Equal(t, v.PubKeyEd25519, got.PubKeyEd25519)
			require.Equal(t, v.Epoch, got.Epoch)
			require.Equal(t, v.MemberKeys(), got.MemberKeys())
			require.Equal(t, answer(t, v, group).GroupHash, hex.EncodeToString(got.SharesHash))
		})
	}
	// The file is the query's answer itself.
	var read types.QueryGroupResponse
	require.NoError(t, jsonpb.Unmarshal(bytes.NewReader(kept), &read))
	want := answer(t, v, group)
	want.Sha256 = read.Sha256
	require.Equal(t, want, &read)
	_, err = v.EncodeGroup(group[1:])
	require.ErrorContains(t, err, "bytes")
}

func TestWhatIsNoGroupPart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a map[string]any)
		says   string
	}{
		"no vault":                 {func(a map[string]any) { a["vault"] = "" }, "the vault"},
		"a vault of other digits":  {func(a map[string]any) { a["vault"] = "zz" }, "the vault"},
		"no ed25519 key":           {func(a map[string]any) { delete(a, "pub_key_ed25519") }, "the ed25519 key"},
		"no group hash":            {func(a map[string]any) { delete(a, "group_hash") }, "the group hash"},
		"no group part":            {func(a map[string]any) { delete(a, "group") }, "0 bytes"},
		"no members":               {func(a map[string]any) { delete(a, "members") }, "not"},
		"a member of other digits": {func(a map[string]any) { a["members"] = []string{"02"} }, "the member's key"},
		"members in another order": {func(a map[string]any) {
			m := a["members"].([]any)
			m[0], m[1] = m[1], m[0]
		}, "its group hash is"},
		"another vault's key":        {func(a map[string]any) { a["pub_key_ed25519"] = strings.Repeat("01", 32) }, "its group hash is"},
		"an epoch that is no number": {func(a map[string]any) { a["epoch"] = "x" }, "not the JSON"},
		"a group part of text":       {func(a map[string]any) { a["group"] = "!" }, "not the JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			v, group := grouped(t)
			data, err := v.EncodeGroup(group)
			require.NoError(t, err)
			var a map[string]any
			require.NoError(t, json.Unmarshal(data, &a))
			c.change(a)
			data, err = json.Marshal(a)
			require.NoError(t, err)
			_, _, err = vault.ParseGroup(data)
			require.ErrorContains(t, err, c.says)
		})
	}
	for _, data := range []string{"", "null", "[]", "7", "{"} {
		_, _, err := vault.ParseGroup([]byte(data))
		require.Error(t, err)
	}
}

func FuzzParseGroup(f *testing.F) {
	v, group := grouped(f)
	data, err := v.EncodeGroup(group)
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, group, err := vault.ParseGroup(data)
		if err != nil {
			return
		}
		again, err := v.EncodeGroup(group)
		require.NoError(t, err)
		_, same, err := vault.ParseGroup(again)
		require.NoError(t, err)
		require.Equal(t, group, same)
	})
}

func TestAGroupPartIsHeldAgainstTheRecord(t *testing.T) {
	v, group := grouped(t)
	public := types.PublicShares{Secp256k1: []types.PublicShare{{Member: []byte{1}}}}
	hash, err := v.ResultHash(public, group)
	require.NoError(t, err)
	own, err := v.GroupHash(group)
	require.NoError(t, err)
	require.Equal(t, own, hash)
	whole := v
	whole.Split = false
	hash, err = whole.ResultHash(public, nil)
	require.NoError(t, err)
	require.Equal(t, public.Hash(v.PubKey, v.PubKeyEd25519), hash)

	require.NoError(t, v.CheckGroup(group), "there is no record yet")
	require.Nil(t, v.NamedGroup())
	require.ErrorIs(t, v.CheckGroup(group[1:]), vault.ErrGroup)
	v.SharesHash = own
	require.NoError(t, v.CheckGroup(group))
	other := bytes.Clone(group)
	other[len(other)-1]++
	require.ErrorIs(t, v.CheckGroup(other), vault.ErrGroup)
	_, err = v.ResultHash(public, nil)
	require.Error(t, err)
}

func TestAGroupPartIsFoundInTheTransactionsOfABlock(t *testing.T) {
	v, group := grouped(t)
	hash, err := v.GroupHash(group)
	require.NoError(t, err)
	v.SharesHash = hash
	carrier, err := (&types.MsgTssPool{Signer: "cosmos1", KeygenId: 9, Group: group, Certificate: []byte("Z")}).Marshal()
	require.NoError(t, err)
	other := bytes.Clone(group)
	other[3]++
	liar, err := (&types.MsgTssPool{Signer: "cosmos1", KeygenId: 9, Group: other}).Marshal()
	require.NoError(t, err)
	named, err := (&types.MsgTssPool{Signer: "cosmos1", GroupHash: hash}).Marshal()
	require.NoError(t, err)
	for _, row := range []struct {
		name string
		txs  [][]byte
		want bool
	}{
		{"alone", [][]byte{carrier}, true},
		{"after another one, in the same transaction", [][]byte{append(bytes.Clone(liar), carrier...)}, true},
		{"in the last of several", [][]byte{named, liar, nil, append([]byte("around"), carrier...)}, true},
		{"named alone", [][]byte{named}, false},
		{"another one", [][]byte{liar}, false},
		{"cut off", [][]byte{carrier[:len(carrier)/2]}, false},
		{"no transaction", nil, false},
		{"what only begins like it, many times", [][]byte{bytes.Repeat([]byte{11<<3 | 2, 0xc3, 0x19}, 5000)}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			found, ok := v.FindGroup(row.txs)
			require.Equal(t, row.want, ok)
			if ok {
				require.Equal(t, group, found)
			}
		})
	}
	_, ok := vault.Vault{}.FindGroup([][]byte{carrier})
	require.False(t, ok)
}

// A record names the group part for ever, and no other is taken for it once state keeps none.
func TestADeletedGroupPartIsStillNamed(t *testing.T) {
	v, group := grouped(t)
	hash, err := v.GroupHash(group)
	require.NoError(t, err)
	v.Group = &types.GroupName{Hash: hash}
	require.Equal(t, hash, v.NamedGroup())
	require.NoError(t, v.CheckGroup(group))
	other := bytes.Clone(group)
	other[len(other)-1]++
	require.ErrorIs(t, v.CheckGroup(other), vault.ErrGroup)
}

// genesisOf is the exported genesis of a chain with these vaults.
func genesisOf(t testing.TB, groups []types.GenesisGroup, vaults ...vault.Vault) []byte {
	state := types.GenesisState{Groups: groups}
	for _, v := range vaults {
		state.Vaults = append(state.Vaults, types.GenesisVault{PubKey: v.PubKey, Vault: v.Vault})
	}
	raw, err := (&jsonpb.Marshaler{OrigName: true, EmitDefaults: true}).MarshalToString(&state)
	require.NoError(t, err)
	return []byte(`{"chain_id":"a","app_state":{"bank":{},"tssbackup":` + raw + `}}`)
}

func TestGroupPartsOfAGenesis(t *testing.T) {
	v, group := grouped(t)
	hash, err := v.GroupHash(group)
	require.NoError(t, err)
	whole := vault.Vault{PubKey: dealer.NewPrivateKeys("whole").PubKey(), Vault: types.Vault{Epoch: 8, PubKeyEd25519: v.PubKeyEd25519}}
	good := types.GenesisGroup{KeygenId: 9, Hash: hash, Group: group, Height: 4}
	open := types.GenesisGroup{KeygenId: 10, Hash: hash, Group: group}
	data := genesisOf(t, []types.GenesisGroup{good, open}, whole, v)
	require.True(t, vault.IsGenesis(data))
	vaults, groups, err := vault.ParseGenesis(data)
	require.NoError(t, err)
	require.Equal(t, [][]byte{group}, groups, "that of a keygen that is open is no vault's")
	require.Equal(t, []any{v.PubKey, v.PubKeyEd25519, v.Epoch, v.MemberKeys()},
		[]any{vaults[0].PubKey, vaults[0].PubKeyEd25519, vaults[0].Epoch, vaults[0].MemberKeys()})

	altered := good
	altered.Group = append([]byte{9}, group[1:]...)
	other := v
	other.Members = other.Members[1:]
	short := good
	short.Hash = hash[:31]
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"another chain's":          {[]byte(`{"app_state":{"bank":{}}}`), "no state of the module tssbackup"},
		"cut off":                  {data[:len(data)-4], "not a genesis"},
		"a state that is none":     {[]byte(`{"app_state":{"tssbackup":7}}`), "not a genesis"},
		"no group part":            {genesisOf(t, nil, v), "the group part of no vault"},
		"an altered group part":    {genesisOf(t, []types.GenesisGroup{altered}, v), "not the group part"},
		"a hash that is too short": {genesisOf(t, []types.GenesisGroup{short}, v), "has 31 bytes"},
		"other members":            {genesisOf(t, []types.GenesisGroup{good}, other), "not the group part"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := vault.ParseGenesis(c.data)
			require.ErrorContains(t, err, c.says)
		})
	}
	answer, err := v.EncodeGroup(group)
	require.NoError(t, err)
	for _, data := range [][]byte{nil, []byte("null"), []byte("[]"), answer, []byte(`{"app_state":`)} {
		require.False(t, vault.IsGenesis(data))
	}
}

func FuzzParseGenesis(f *testing.F) {
	v, group := grouped(f)
	hash, err := v.GroupHash(group)
	require.NoError(f, err)
	f.Add(genesisOf(f, []types.GenesisGroup{{KeygenId: 9, Hash: hash, Group: group}}, v))
	f.Fuzz(func(t *testing.T, data []byte) {
		vaults, groups, err := vault.ParseGenesis(data)
		if err != nil {
			return
		}
		require.Len(t, groups, len(vaults))
		for i, v := range vaults {
			kept, err := v.EncodeGroup(groups[i])
			require.NoError(t, err)
			_, same, err := vault.ParseGroup(kept)
			require.NoError(t, err)
			require.Equal(t, groups[i], same)
		}
	})
}
