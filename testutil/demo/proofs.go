package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"

	record "github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// checks is how often a proof is checked for its time: eight processes want the cores at the same
// time, and the shortest says most about the work.
const checks = 5

// proof is what the demo says of a member's proof.
type proof struct {
	Bytes        int   `json:"bytes"`
	VerifyMicros int64 `json:"verify_micros"`
}

// checkProof verifies the proof in the transaction of a member's vote, as an outsider who has the
// block and the member's recipient key.
func (n *network) checkProof(ctx context.Context, m *member, raw []byte) error {
	msg, err := voteIn(raw)
	if err != nil {
		return err
	}
	var of struct {
		Proof struct {
			RecipientKey string `json:"recipient_key"`
		} `json:"proof"`
	}
	if err := n.Query(ctx, &of, "tssbackup", "proof", n.vault.Vault, m.Address); err != nil {
		return err
	}
	recipient, err := hex.DecodeString(of.Proof.RecipientKey)
	if err != nil {
		return err
	}
	pubKey, err := hex.DecodeString(n.vault.Vault)
	if err != nil {
		return err
	}
	pubKeyEd25519, err := hex.DecodeString(n.vault.PubKeyEd25519)
	if err != nil {
		return err
	}
	_, address, err := bech32.DecodeAndConvert(m.Address)
	if err != nil {
		return err
	}
	shares, err := n.publicShares(ctx, msg)
	if err != nil {
		return err
	}
	if err := shares.Check(pubKey, pubKeyEd25519); err != nil {
		return fmt.Errorf("the public shares in the vote of %s: %w", m.Address, err)
	}
	st, ok := shares.Statement(
		n.ChainID,
		msg.KeygenId,
		pubKey,
		pubKeyEd25519,
		address,
		recipient,
	)
	if !ok {
		return fmt.Errorf("%s has no public shares", m.Address)
	}
	var best time.Duration
	for range checks {
		begin := time.Now()
		if _, err := verenc.Verify(st, msg.Proof); err != nil {
			return fmt.Errorf("the proof of %s: %w", m.Address, err)
		}
		if took := time.Since(begin); best == 0 || took < best {
			best = took
		}
	}
	m.Proof = proof{Bytes: len(msg.Proof), VerifyMicros: best.Microseconds()}
	return nil
}

// publicShares are those that a vote carries, or that are in the group part of a split vault.
func (n *network) publicShares(
	ctx context.Context, msg *types.MsgTssPool,
) (shares types.PublicShares, err error) {
	if msg.PublicShares != nil {
		return *msg.PublicShares, nil
	}
	var printed json.RawMessage
	if err := n.Query(ctx, &printed, "tssbackup", "group", n.vault.Vault); err != nil {
		return shares, err
	}
	v, group, err := record.ParseGroup(printed)
	if err != nil {
		return shares, fmt.Errorf("the group part: %w", err)
	}
	entries, err := sanity.ParseGroup(group, len(v.Members))
	if err != nil {
		return shares, err
	}
	return types.NewGroup(group, entries, 0).PublicShares(v.Epoch, v.Members)
}

// voteIn is the vote that a transaction carries, which must be one with a proof.
func voteIn(raw []byte) (*types.MsgTssPool, error) {
	var outer tx.TxRaw
	if err := proto.Unmarshal(raw, &outer); err != nil {
		return nil, err
	}
	var body tx.TxBody
	if err := proto.Unmarshal(outer.BodyBytes, &body); err != nil {
		return nil, err
	}
	if len(body.Messages) != 1 ||
		body.Messages[0].TypeUrl != "/"+proto.MessageName(&types.MsgTssPool{}) {
		return nil, errors.New("the envelope did not come in a vote")
	}
	var msg types.MsgTssPool
	if err := proto.Unmarshal(body.Messages[0].Value, &msg); err != nil {
		return nil, err
	}
	if len(msg.Proof) == 0 {
		return nil, errors.New("the vote carries no proof")
	}
	return &msg, nil
}

// verdict is what the chain says of the proofs, after all of them were checked here.
func (n *network) verdict(ctx context.Context) (string, error) {
	var coverage struct {
		Vaults []struct {
			Members           int  `json:"members"`
			Proven            int  `json:"proven"`
			Threshold         int  `json:"threshold"`
			ProvenRecoverable bool `json:"proven_recoverable"`
		} `json:"vaults"`
	}
	if err := n.Query(ctx, &coverage, "tssbackup", "coverage", n.vault.Vault); err != nil {
		return "", err
	}
	if len(coverage.Vaults) != 1 || coverage.Vaults[0].Proven != len(n.holders) ||
		!coverage.Vaults[0].ProvenRecoverable {
		return "", fmt.Errorf("not all backups are proven: %+v", coverage.Vaults)
	}
	c := coverage.Vaults[0]
	return fmt.Sprintf("recoverable: proven %d/%d, need %d", c.Proven, c.Members, c.Threshold), nil
}
