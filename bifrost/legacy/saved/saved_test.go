package saved_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/sanity"
)

func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func integer(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
}

// tssPool is THORNode's message, packed as google.protobuf.Any.
func tssPool(backup []byte) []byte {
	blame := slices.Concat(field(1, []byte("failed")), integer(2, 1))
	msg := slices.Concat(
		field(1, []byte(strings.Repeat("ab", 32))), field(2, []byte("thorpub1addwnpepq")), integer(3, 1),
		field(4, []byte("thorpub1addwnpepqa")), field(4, []byte("thorpub1addwnpepqb")), integer(5, 12345),
		field(6, blame), field(7, []byte("BTC")), field(8, bytes.Repeat([]byte{7}, 20)), integer(9, 4500),
		field(10, backup), field(11, bytes.Repeat([]byte{9}, 64)),
	)
	return slices.Concat(field(1, []byte("/types.MsgTssPool")), field(2, msg))
}

// transaction is a signed transaction of these messages, each as google.protobuf.Any.
func transaction(messages ...[]byte) []byte {
	var body []byte
	for _, m := range messages {
		body = append(body, field(1, m)...)
	}
	body = append(body, field(2, []byte("memo"))...)
	authInfo := slices.Concat(field(1, bytes.Repeat([]byte{1, 2, 3}, 30)), field(2, integer(2, 200000)))
	return slices.Concat(field(1, body), field(2, authInfo), field(3, bytes.Repeat([]byte{5}, 64)))
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func TestFind(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	backup := noise(1, 3000)
	own := append([]byte(sanity.EnvelopePrefix), noise(2, 2000)...)
	tx := transaction(tssPool(backup))
	exec := field(1, []byte("/cosmos.authz.v1beta1.MsgExec"))
	exec = append(exec, field(2, slices.Concat(field(1, []byte("thor1")), field(2, tssPool(backup))))...)
	block := field(2, slices.Concat(field(1, transaction(tssPool(noise(3, 500)))), field(1, tx)))

	for _, c := range []struct {
		name string
		data string
		want []byte
	}{
		{"the result of /tx", `{"jsonrpc":"2.0","id":-1,"result":{"hash":"AB","height":"5","tx_result":{"code":0,"events":[{"type":"x","attributes":[{"key":"a","value":"` +
			strings.Repeat("b", 600) + `"}]}]},"tx":"` + b64(tx) + `"}}`, backup},
		{"the result of /block", `{"jsonrpc":"2.0","result":{"block_id":{"hash":"AB"},"block":{"header":{"height":"5"},"data":{"txs":["` +
			b64(transaction(tssPool(noise(4, 400)))) + `","` + b64(tx) + `"]}}}}`, backup},
		{"the REST answer of a transaction", `{"tx":{"body":{"messages":[{"@type":"/types.MsgTssPool","id":"ab","keyshares_backup":"` + b64(backup) +
			`","keygen_time":"4500"}],"memo":""}},"tx_response":{"height":"5"}}`, backup},
		{"JSON with escaped slashes", strings.ReplaceAll(`{"keyshares_backup":"`+b64(backup)+`"}`, "/", `\/`), backup},
		{"JSON on several lines", "{\"txs\":[]}\n{\"tx\":\"" + b64(tx) + "\"}\n", backup},
		{"the YAML of the command line", "body:\n  messages:\n  - '@type': /types.MsgTssPool\n    keyshares_backup: " + b64(backup) + "\n    height: \"5\"\n", backup},
		{"JSON that was cut off behind it", `{"tx":{"keyshares_backup":"` + b64(backup) + `","chains":[`, backup},
		{"the backup in base64", b64(backup) + "\n", backup},
		{"the backup in base64, in lines", wrap(b64(backup)), backup},
		{"the backup in base64 without padding", strings.TrimRight(b64(backup[:2999]), "="), backup[:2999]},
		{"the transaction in hex", hex.EncodeToString(tx), backup},
		{"the transaction in hex, in JSON", `"` + strings.ToUpper(hex.EncodeToString(tx)) + `"`, backup},
		{"the transaction as it is", string(tx), backup},
		{"the block as it is", string(block), backup},
		{"the block in the result of gRPC", string(field(3, block)), backup},
		{"the backup as it is", string(backup), backup},
		{"a transaction on behalf of somebody else", string(transaction(exec)), backup},
		{"an envelope in a transaction", string(transaction(tssPool(backup), tssPool(own))), own},
		{"an envelope", string(own), own},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := dataOf(saved.Find([]byte(c.data)))
			require.True(t, slices.ContainsFunc(found, func(b []byte) bool { return bytes.Equal(b, c.want) }))
			require.Less(t, len(found), 20)
			for i, b := range found {
				require.GreaterOrEqual(t, len(b), thornode.MinBytes)
				require.False(t, slices.ContainsFunc(found[:i], func(other []byte) bool { return bytes.Equal(b, other) }), "twice")
			}
		})
	}
}

// dataOf are the candidates.
func dataOf(found saved.Found) (all [][]byte) {
	for _, c := range found.Candidates {
		all = append(all, c.Data)
	}
	return all
}

func wrap(text string) (lines string) {
	for part := range slices.Chunk([]byte(text), 76) {
		lines += string(part) + "\r\n"
	}
	return lines
}

func TestTooLarge(t *testing.T) {
	require.ErrorIs(t, saved.Find(make([]byte, saved.MaxBytes+1)).Why, envelope.ErrTooLarge)
}

// Fields nested deeper than any message, and blocks full of fields, cost no more than a multiple of
// their length.
func TestHostileResponses(t *testing.T) {
	deep := noise(1, 400)
	for range 10_000 {
		deep = field(2, deep)
	}
	found := saved.Find(deep)
	require.Less(t, len(found.Candidates), 30)
	require.ErrorIs(t, found.Why, envelope.ErrTooLarge)

	found = saved.Find(bytes.Repeat(field(1, make([]byte, 300)), 10_000))
	require.Less(t, len(found.Candidates), 20, "what is the same counts once")

	found = saved.Find([]byte(strings.Repeat("[", 1_000_000)))
	require.Empty(t, found.Candidates)
	require.ErrorIs(t, found.Why, saved.ErrForeign)

	// Gzip unpacks to a thousand times its size, and within gzip once more.
	found = saved.Find(zip(zip(make([]byte, 140<<20))))
	require.Empty(t, found.Candidates)
	require.ErrorIs(t, found.Why, envelope.ErrTooLarge)
}

func TestABackupInABlockOpens(t *testing.T) {
	data, err := os.ReadFile("../thornode/testdata/vectors.json")
	require.NoError(t, err)
	var vectors []struct {
		Mnemonic string
		Envelope []byte
	}
	require.NoError(t, json.Unmarshal(data, &vectors))
	m, err := sanity.ParsePhrase([]byte(vectors[0].Mnemonic))
	require.NoError(t, err)
	var txs []string
	for i := range 20 {
		backup := noise(byte(i), 9000)
		if i == 17 {
			backup = vectors[1].Envelope
		}
		txs = append(txs, fmt.Sprintf("%q", base64.StdEncoding.EncodeToString(transaction(tssPool(backup)))))
	}
	found := dataOf(saved.Find([]byte(`{"result":{"block":{"data":{"txs":[` + strings.Join(txs, ",") + `]}}}}`)))
	opened := 0
	for _, b := range found {
		if files, err := thornode.Open(b, m); err == nil {
			opened++
			require.Len(t, files, 1)
		}
	}
	require.Equal(t, 1, opened)
}
