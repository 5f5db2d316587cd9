package chain

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Churns returns the latest churns, the newest first: those of the last limit numbers that state
// still keeps.
func (s *State) Churns(ctx context.Context, limit uint64) ([]types.Churn, error) {
	value, err := s.read(ctx, types.ChurnSequenceKey())
	if err != nil || len(value[0]) == 0 {
		return nil, err
	}
	if len(value[0]) != 8 {
		return nil, fmt.Errorf("%w: the number of the next churn", ErrState)
	}
	var keys [][]byte
	for id := binary.BigEndian.Uint64(value[0]); id > 0 && uint64(len(keys)) < limit; {
		id--
		keys = append(keys, types.ChurnKey(id))
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	var churns []types.Churn
	for _, value := range values {
		if len(value) == 0 {
			continue
		}
		var churn types.Churn
		if err := proto.Unmarshal(value, &churn); err != nil {
			return nil, fmt.Errorf("%w: churn: %w", ErrState, err)
		}
		churns = append(churns, churn)
	}
	return churns, nil
}

// Keygen returns one keygen with the votes, joins and session that state keeps of it, and the
// members of its vault once that is active. It has no status, and there is no error, when it is
// verified that state holds none.
func (s *State) Keygen(ctx context.Context, id uint64) (k vault.Keygen, err error) {
	value, err := s.read(ctx, types.KeygenKey(id))
	if err != nil || len(value[0]) == 0 {
		return k, err
	}
	if err := proto.Unmarshal(value[0], &k.Keygen); err != nil {
		return k, fmt.Errorf("%w: keygen %d: %w", ErrState, id, err)
	}
	k.AsOf = s.Height()
	k.OpenedHeight, k.Deadline = k.Keygen.OpenedHeight, k.Keygen.Deadline
	k.JoinDeadline, k.AttemptDeadline = k.Keygen.JoinDeadline(), k.Keygen.AttemptDeadline()
	k.CertificateDeadline = k.Keygen.CertificateDeadline()
	if len(k.Members) == 0 && len(k.Vault) > 0 {
		of, err := s.Vault(ctx, k.Vault)
		if err != nil {
			return k, err
		}
		k.Members = of.Members
	}
	if k.Reshare != nil {
		if err := s.readDealing(ctx, &k); err != nil {
			return k, err
		}
	}
	for _, m := range k.Members {
		if len(m.PubKey) != types.PubKeySize {
			return k, fmt.Errorf("%w: keygen %d has a member with a key of %d bytes",
				ErrState, id, len(m.PubKey))
		}
	}
	return k, s.readBallot(ctx, &k)
}

// readDealing adds who may deal in a reshare.
func (s *State) readDealing(ctx context.Context, k *vault.Keygen) error {
	of, err := s.Vault(ctx, k.Reshare.Vault)
	if err != nil {
		return err
	}
	members, threshold := of.Members, of.Threshold
	if of.Epoch != k.Reshare.Epoch {
		value, err := s.read(ctx, types.KeygenKey(k.Reshare.Epoch))
		if err != nil {
			return err
		}
		var former types.Keygen
		if err := decode(value[0], &former); err != nil {
			return err
		}
		members, threshold = former.Members, former.Threshold
	}
	for _, m := range k.Reshare.Able(members) {
		k.Able = append(k.Able, m.Address())
	}
	k.Deal = int(threshold)
	return nil
}

// readBallot adds what members did in a keygen.
func (s *State) readBallot(ctx context.Context, k *vault.Keygen) error {
	keys := [][]byte{types.SessionKey(k.Id), types.CertificateKey(k.Id)}
	for _, m := range k.Members {
		keys = append(keys, types.VoteKey(k.Id, m.Address()), types.JoinKey(k.Id, m.Address()),
			types.ProofKey(k.Id, m.Address()))
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return err
	}
	var session types.Session
	var certificate types.Certificate
	if err := decode(values[0], &session); err != nil {
		return err
	}
	if err := decode(values[1], &certificate); err != nil {
		return err
	}
	if len(values[1]) > 0 {
		k.Certificate = &vault.Certificate{
			Result: certificate.Result, Attempt: certificate.Attempt,
			Height: certificate.Height, Checked: certificate.IsChecked(),
			Envelopes: certificate.Envelopes,
		}
	}
	if session.Attempt > 0 {
		if len(session.Members) != len(k.Members) {
			return fmt.Errorf("%w: the session of keygen %d has not its members", ErrState, k.Id)
		}
		k.Session = &vault.Session{
			ID: session.Id, Attempt: session.Attempt, Height: session.Height,
		}
		for _, d := range session.Dealers {
			m := types.Member{PubKey: d.PubKey}
			k.Session.Dealers = append(k.Session.Dealers, joinFrom(m, d.Join))
		}
	}
	for i, m := range k.Members {
		if k.Session != nil {
			k.Session.Members = append(k.Session.Members, joinFrom(m, session.Members[i]))
		}
		var vote types.Vote
		var join types.Join
		if err := decode(values[2+3*i], &vote); err != nil {
			return err
		}
		if err := decode(values[3+3*i], &join); err != nil {
			return err
		}
		proof, err := decodeProof(values[4+3*i])
		if err != nil {
			return err
		}
		k.Recipients = append(k.Recipients, proof.Recipient)
		if join.Attempt > session.Attempt {
			k.Joins = append(k.Joins, joinFrom(m, join))
		}
		if len(values[2+3*i]) > 0 {
			k.Votes = append(k.Votes, vault.Vote{
				Member: m.Address(), Vote: vote, Proven: vote.Result != nil && proof.IsProven(),
			})
		}
	}
	return nil
}

func joinFrom(m types.Member, j types.Join) vault.Join {
	return vault.Join{Member: m.Address(), Nonce: j.Nonce, Key: j.SessionKey, Height: j.Height}
}

func decode(value []byte, into proto.Message) error {
	if err := proto.Unmarshal(value, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrState, proto.MessageName(into), err)
	}
	return nil
}

// OperatorsOf returns the raw addresses of the operators that registered these signers, given by
// their raw account addresses: nil for one of which it is verified that none did.
func (s *State) OperatorsOf(ctx context.Context, signers [][]byte) ([][]byte, error) {
	keys := make([][]byte, len(signers))
	for i, signer := range signers {
		keys[i] = types.SignerOwnerKey(signer)
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	operators := make([][]byte, len(signers))
	for i, value := range values {
		var owner types.SignerOwner
		if err := decode(value, &owner); err != nil {
			return nil, err
		}
		operators[i] = owner.Operator
	}
	return operators, nil
}

// SitOuts returns what is known of the faults of operators, given by their raw addresses: the zero
// value of one without any.
func (s *State) SitOuts(ctx context.Context, operators [][]byte) ([]types.SitOut, error) {
	keys := make([][]byte, len(operators))
	for i, operator := range operators {
		keys[i] = types.SitOutKey(operator)
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	outs := make([]types.SitOut, len(operators))
	for i, value := range values {
		if err := decode(value, &outs[i]); err != nil {
			return nil, err
		}
	}
	return outs, nil
}

// stakingStore is the store in which x/staking keeps validators, by a prefix and the operator's
// address with its length before it.
const (
	stakingStore     = "staking"
	validatorsPrefix = 0x21
)

// Monikers returns how validators, given by their operators' raw addresses, call themselves: any
// text at all, empty for who is none. They are verified like the module's records, in the store of
// x/staking. On a chain that has no such store it errs.
func (s *State) Monikers(ctx context.Context, operators [][]byte) ([]string, error) {
	names := make([]string, len(operators))
	for begin := 0; begin < len(operators); begin += maxBatch {
		end := min(begin+maxBatch, len(operators))
		var keys [][]byte
		for _, operator := range operators[begin:end] {
			keys = append(keys,
				bytes.Join([][]byte{{validatorsPrefix, byte(len(operator))}, operator}, nil))
		}
		values, err := s.readBatch(ctx, stakingStore, keys)
		if err != nil {
			return nil, err
		}
		for i, value := range values {
			names[begin+i] = moniker(value)
		}
	}
	return names, nil
}

// moniker reads field 1 of the description in field 7 of a validator.
func moniker(validator []byte) string {
	var description []byte
	_ = fields(validator, func(num protowire.Number, typ protowire.Type, field []byte) bool {
		if num == 7 && typ == protowire.BytesType {
			description, _ = protowire.ConsumeBytes(field)
		}
		return true
	})
	name, _ := stringField(description, 1)
	return name
}
