package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
	"github.com/tssbackup/tssbackup/testutil/processes"
)

// victim is the member that loses its signer.
const victim = 2

// carrier is the transaction that carried the member's envelope.
func (n *network) carrier(ctx context.Context, m *member) ([]byte, error) {
	req, err := http.NewRequestWithContext(
		ctx,
		http.MethodGet,
		fmt.Sprintf("%s/block?height=%d", m.RPC, m.Envelope.Height),
		nil,
	)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	var block struct {
		Result struct {
			Block struct {
				Data struct {
					Txs []string `json:"txs"`
				} `json:"data"`
			} `json:"block"`
		} `json:"result"`
	}
	if err := json.Unmarshal(body, &block); err != nil {
		return nil, err
	}
	for _, text := range block.Result.Block.Data.Txs {
		tx, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		if start := bytes.Index(
			tx,
			[]byte("age-encryption.org/v1\n"),
		); start >= 0 &&
			start+int(m.Envelope.Size) <= len(tx) {
			sum := sha256.Sum256(tx[start : start+int(m.Envelope.Size)])
			if hex.EncodeToString(sum[:]) == m.Envelope.SHA256 {
				return tx, nil
			}
		}
	}
	return nil, fmt.Errorf(
		"block %d does not carry the envelope of %s",
		m.Envelope.Height,
		m.Address,
	)
}

// loseSigner stops a signer and deletes all that its host had.
func (n *network) loseSigner(context.Context) (string, error) {
	m := n.members[victim]
	var err error
	if n.lost, err = keyshares(m); err != nil {
		return "", err
	}
	n.Stop(m.SignerName())
	if err := os.RemoveAll(m.SignerHome); err != nil {
		return "", err
	}
	return fmt.Sprintf(
		"%s is gone, with %d keyshare files",
		filepath.Base(m.SignerHome),
		len(n.lost),
	), nil
}

// keyshares are the keyshare files in the signer's home, by name, opened with its words.
func keyshares(m *member) (map[string][]byte, error) {
	dir := filepath.Join(m.SignerHome, "keyshares")
	keys, err := homekeys.Read(m.MnemonicFile)
	if err != nil {
		return nil, err
	}
	store, err := keystore.Open(dir, keys)
	if err != nil {
		return nil, err
	}
	entries, err := store.Entries()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name], err = store.Read(e); err != nil {
			return nil, err
		}
	}
	if len(files) != 2 {
		return nil, fmt.Errorf("%s holds %d files, not the two of a vault", dir, len(files))
	}
	return files, nil
}

// verifying are the arguments by which recover-keyshares believes no node: the nodes of all members
// but one, and that a first header on which they agree will do.
func (n *network) verifying(without *processes.Member) []string {
	args := []string{"--trust-first"}
	for _, node := range n.OthersOf(without) {
		args = append(args, "--node", node)
	}
	return args
}

// waitPruned waits until no node has the block any more.
func (n *network) waitPruned(ctx context.Context, height int64) error {
	return processes.Await(
		ctx,
		time.Minute,
		fmt.Sprintf("block %d to be pruned", height),
		func(ctx context.Context) (bool, error) {
			for _, m := range n.members {
				status, err := n.Blocks(ctx, m.Member)
				if err != nil || status.Earliest <= height {
					return false, err
				}
			}
			return true, nil
		},
	)
}

// recoverSigner makes the home anew from the 24 words and fetches the keyshares from the other
// validators' nodes, which have pruned the block of the vote and keep the envelope in their
// archives. Then it starts the signer.
func (n *network) recoverSigner(ctx context.Context) (string, error) {
	m := n.members[victim]
	reg, err := n.InitSigner(ctx, m.Member, "--mnemonic-file", m.MnemonicFile)
	if err != nil {
		return "", err
	}
	if err := n.Configure(m.Member); err != nil {
		return "", err
	}
	if reg.Address != m.Address {
		return "", fmt.Errorf("the mnemonic derives %s, not %s", reg.Address, m.Address)
	}
	if err := n.waitPruned(ctx, m.Envelope.Height); err != nil {
		return "", err
	}
	args := append(
		n.verifying(m.Member),
		"--mnemonic-file",
		m.MnemonicFile,
		"--out",
		filepath.Join(m.SignerHome, "keyshares"),
	)
	if _, err := processes.Command(ctx, n.Path("recover-keyshares"), args...); err != nil {
		return "", err
	}
	found, err := keyshares(m)
	if err != nil {
		return "", err
	}
	size := 0
	for name, data := range n.lost {
		if !bytes.Equal(found[name], data) {
			return "", fmt.Errorf("%s differs from the one that was lost", name)
		}
		size += len(data)
	}
	if err := n.StartSigner(m.Member); err != nil {
		return "", err
	}
	if err := n.PromoteSigner(ctx, m.Member); err != nil {
		return "", err
	}
	if err := n.WaitSigner(ctx, m.Member); err != nil {
		return "", err
	}
	return fmt.Sprintf(
		"%d bytes of keyshares, each as it was; verified, from nodes that pruned block %d",
		size,
		m.Envelope.Height,
	), nil
}

// signature is what bifrost sign prints for one curve.
type signature struct {
	PubKey    string `json:"pub_key"`
	Signature string `json:"signature"`
}

type signatures struct {
	Digest    string    `json:"digest"`
	Secp256k1 signature `json:"secp256k1"`
	Ed25519   signature `json:"ed25519"`
}

// signWithVault has all members sign a text with both keys of the vault, and verifies the
// signatures with libraries that know nothing of the ceremony.
func (n *network) signWithVault(ctx context.Context) (string, error) {
	const text = "the vault signs again"
	results := make([]signatures, len(n.holders))
	group, ctx := errgroup.WithContext(ctx)
	for i, m := range n.holders {
		group.Go(func() error {
			out, err := processes.Command(ctx, n.Path("bifrost"), "sign", "--home", m.SignerHome,
				"--vault", n.vault.Vault, "--message", text, "--output", "json")
			if err != nil {
				return err
			}
			return json.Unmarshal(out, &results[i])
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	digest := messageDigest(text)
	for _, r := range results {
		if err := n.verify(digest, r); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(
		"%d members, both signatures verify under the vault's keys",
		len(results),
	), nil
}

// messageDigest is what bifrost sign signs.
func messageDigest(text string) []byte {
	message := []byte("tssbackup/message/v1")
	message = binary.BigEndian.AppendUint32(message, uint32(len(text)))
	digest := sha256.Sum256(append(message, text...))
	return digest[:]
}

func (n *network) verify(digest []byte, s signatures) error {
	if s.Secp256k1.PubKey != n.vault.Vault || s.Ed25519.PubKey != n.vault.PubKeyEd25519 {
		return errors.New("the signatures are of another vault")
	}
	raw, err := hex.DecodeString(n.vault.Vault)
	if err != nil {
		return err
	}
	pub, err := secp256k1.ParsePubKey(raw)
	if err != nil {
		return err
	}
	sig, err := hex.DecodeString(s.Secp256k1.Signature)
	if err != nil || len(sig) != 64 {
		return fmt.Errorf(
			"the secp256k1 signature %q is not 64 bytes in hex",
			s.Secp256k1.Signature,
		)
	}
	var r, v secp256k1.ModNScalar
	if r.SetByteSlice(sig[:32]) || v.SetByteSlice(sig[32:]) ||
		!ecdsa.NewSignature(&r, &v).Verify(digest, pub) {
		return errors.New("the secp256k1 signature does not verify")
	}
	edKey, err := hex.DecodeString(n.vault.PubKeyEd25519)
	if err != nil {
		return err
	}
	edSig, err := hex.DecodeString(s.Ed25519.Signature)
	if err != nil {
		return err
	}
	if len(edKey) != ed25519.PublicKeySize || !ed25519.Verify(edKey, digest, edSig) {
		return errors.New("the ed25519 signature does not verify")
	}
	return nil
}

// writeSummary leaves what a script needs to go on with the network.
func (n *network) writeSummary() error {
	summary := struct {
		ChainID string    `json:"chain_id"`
		Vault   vault     `json:"vault"`
		Members []*member `json:"members"`
		Page    string    `json:"page,omitempty"`
	}{n.ChainID, n.vault, n.members, n.Page}
	raw, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(
		n.pidFile(),
		[]byte(strings.Join(n.Pids(), " ")+"\n"),
		0o600,
	); err != nil {
		return err
	}
	return os.WriteFile(n.summaryFile(), append(raw, '\n'), 0o600)
}

// killAll stops the processes of an earlier run. A number that now belongs to another process is
// left alone: the folder of the demo is in the arguments of ours.
func killAll(pids []string, dir string) {
	for _, pid := range pids {
		args, err := exec.Command("ps", "-o", "args=", "-p", pid).Output()
		if err != nil || !strings.Contains(string(args), dir) {
			continue
		}
		var id int
		if _, err := fmt.Sscan(pid, &id); err == nil && id > 1 {
			_ = syscall.Kill(-id, syscall.SIGKILL)
		}
	}
}
