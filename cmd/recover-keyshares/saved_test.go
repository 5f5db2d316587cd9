package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// thornodeBackup is a backup as THORNode published it, of one of the two keyshares of a fixture.
type thornodeBackup struct {
	Mnemonic string
	Envelope []byte
}

func thornodeBackups(t testing.TB) (backups []thornodeBackup) {
	data, err := os.ReadFile("../../bifrost/legacy/thornode/testdata/vectors.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &backups))
	return backups
}

// thornode FILE NUMBER writes a backup of THORNode's to a file. Its mnemonic is in the file
// thorwords.
func cmdThornode(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), s.thornode[number].Envelope, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("thorwords"), []byte(s.thornode[number].Mnemonic), 0o600))
}

// respond FILE FORM BACKUP... writes a node's answer to a file: a transaction that carries these
// backups, or a block with one transaction for each.
func cmdRespond(ts *testscript.TestScript, _ bool, args []string) {
	var txs, fields []string
	var all [][]byte
	for i, path := range args[2:] {
		backup := []byte(ts.ReadFile(path))
		all = append(all, backup)
		txs = append(txs, strconv.Quote(base64.StdEncoding.EncodeToString(transaction(backup))))
		fields = append(fields, fmt.Sprintf(`{"@type":"/types.MsgTssPool","id":"%d","keyshares_backup":%q}`,
			i, base64.StdEncoding.EncodeToString(backup)))
	}
	var answer string
	switch args[1] {
	case "rpc-tx":
		answer = fmt.Sprintf(`{"jsonrpc":"2.0","id":-1,"result":{"hash":"AB","height":"5","index":0,"tx":%q}}`,
			base64.StdEncoding.EncodeToString(transaction(all...)))
	case "rpc-block":
		answer = `{"jsonrpc":"2.0","id":-1,"result":{"block_id":{"hash":"AB"},"block":{"header":{"height":"5"},"data":{"txs":[` +
			strings.Join(txs, ",") + `]},"evidence":{"evidence":[]}}}}`
	case "rest-tx":
		answer = `{"tx":{"body":{"messages":[` + strings.Join(fields, ",") + `],"memo":""}},"tx_response":{"height":"5","code":0}}`
	case "bytes":
		answer = string(transaction(all...))
	default:
		ts.Fatalf("no form %q", args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(answer), 0o600))
}

// transaction is one that carries each of the backups in a message, as votes do.
func transaction(backups ...[]byte) []byte {
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	var body []byte
	for _, backup := range backups {
		message := slices.Concat(field(1, []byte("id")), field(8, make([]byte, 20)), field(10, backup))
		body = append(body, field(1, slices.Concat(field(1, []byte("/types.MsgTssPool")), field(2, message)))...)
	}
	return slices.Concat(field(1, body), field(2, make([]byte, 80)), field(3, make([]byte, 64)))
}

var xi = regexp.MustCompile(`"Xi":[0-9]+`)

// unsound is the keyshare with another secret share.
func unsound(f fixture.File) (fixture.File, error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(f.Data, &file); err != nil {
		return f, err
	}
	var local []byte
	if err := json.Unmarshal(file["local_data"], &local); err != nil {
		return f, err
	}
	var err error
	if file["local_data"], err = json.Marshal(xi.ReplaceAll(local, []byte(`"Xi":12345`))); err != nil {
		return f, err
	}
	data, err := json.Marshal(file)
	return fixture.File{Name: f.Name, Data: data}, err
}
