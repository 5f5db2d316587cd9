package network

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Ballot is a keygen whose members have joined, and what they need to vote: their accounts, which
// sign for any result that the test wants.
type Ballot struct {
	ChainID  string
	KeygenID uint64
	// Session is the id of the latest attempt.
	Session []byte
	// Members are in the order of the keygen.
	Members []Account
	// Split says that votes carry the group part, or name it, in place of public shares.
	Split bool
	// Placement says whether votes carry envelopes, or list those that the members hold, which are
	// Held: of the asked members, in the order of the keygen's. The test sets them.
	Placement types.Placement
	Held      [][]byte
}

// Ballot has all members of a keygen join, and waits until their attempt has begun. The members are
// signers of the network's validators.
func (n *Network) Ballot(keygenID uint64) Ballot {
	n.t.Helper()
	b := Ballot{ChainID: n.ChainID, KeygenID: keygenID}
	for _, key := range n.Members(keygenID) {
		i := slices.IndexFunc(n.Validators, func(v *Validator) bool {
			return bytes.Equal(v.Signer.Key.PubKey().Bytes(), key)
		})
		require.NotEqual(n.t, -1, i, "the signer of no validator is a member")
		b.Members = append(b.Members, n.Validators[i].Signer)
	}
	for _, m := range b.Members {
		res := n.Broadcast(n.Sign(m, TxOptions{Gas: defaultGas}, b.Join(m)))
		require.Equal(n.t, abci.CodeTypeOK, res.Code, res.Log)
	}
	n.Wait(func() bool {
		res, err := n.Query().
			Keygen(context.Background(), &types.QueryKeygenRequest{Id: keygenID})
		require.NoError(n.t, err)
		if res.Keygen.Session == nil {
			return false
		}
		b.Split, b.Placement = res.Keygen.Split, res.Keygen.Placement
		b.Session, err = hex.DecodeString(res.Keygen.Session.Id)
		require.NoError(n.t, err)
		return true
	}, "an attempt at keygen %d", keygenID)
	n.WaitBlocks(1) // the members' next sequences are known everywhere
	return b
}

// Join is a member's join. It has the same session key in each attempt.
func (b Ballot) Join(member Account) *types.MsgTssJoin {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(member.Mnemonic), b.KeygenID))
	key := secp256k1.PrivKeyFromBytes(seed[:])
	nonce := seed[:types.NonceSize]
	pubKey := member.Key.PubKey().Bytes()
	return &types.MsgTssJoin{
		Signer:     member.Bech32(),
		KeygenId:   b.KeygenID,
		Nonce:      nonce,
		SessionKey: key.PubKey().SerializeCompressed(),
		Possession: compact(key, types.JoinMessage(b.ChainID, b.KeygenID, pubKey, nonce)),
	}
}

// Vote is the vote of an account for a vault, with the certificate that all members have it, the
// public shares of all members or their group part, and beside an envelope the proof that the
// member can open what it shares. An account that is no member has no proof. Where the members hold
// the envelopes, the vote of a member that is asked is given its envelope all the same, and lists
// those of all instead of carrying it.
func (b Ballot) Vote(v Vault, member Account, envelope []byte) *types.MsgTssPool {
	vote := &types.MsgTssPool{
		Signer:          member.Bech32(),
		KeygenId:        b.KeygenID,
		PubKey:          v.Name(),
		PubKeyEd25519:   hex.EncodeToString(v.PubKeyEd25519()),
		KeysharesBackup: envelope,
	}
	if dealt := v.Deal(b.keys()); b.Split {
		vote.Group = dealt.Group(b.keys())
	} else {
		vote.PublicShares = &dealt.Public
	}
	isMember := func(m Account) bool { return m.Mnemonic == member.Mnemonic }
	if len(envelope) > 0 && slices.ContainsFunc(b.Members, isMember) {
		vote.Proof = v.Prove(b.ChainID, b.KeygenID, b.keys(), member)
	}
	if b.Placement == types.Placement_PLACEMENT_MEMBERS {
		vote.KeysharesBackup, vote.Envelopes = nil, b.envelopes()
	}
	b.Certify(vote)
	return vote
}

// envelopes list those that the members hold.
func (b Ballot) envelopes() []byte {
	var held []types.Commitment
	for _, e := range b.Held {
		held = append(held, types.Held(e))
	}
	return types.EncodeEnvelopes(held)
}

// Certify gives a vote, whose result has the right form, the signatures of all members for it.
func (b Ballot) Certify(vote *types.MsgTssPool) {
	result, err := vote.ParseResult()
	if err != nil {
		panic(err)
	}
	if b.Split {
		result.SharesHash = b.groupHash(result, vote.Group)
	}
	if len(vote.Envelopes) > 0 {
		result.EnvelopesHash = types.EnvelopesHash(vote.Envelopes)
	}
	done := types.DoneMessage(b.Session, result)
	vote.Certificate = nil
	for _, m := range b.Members {
		key := secp256k1.PrivKeyFromBytes(m.Key.Bytes())
		vote.Certificate = append(vote.Certificate, compact(key, done)...)
	}
}

// Named is a vote that names the group part, and the list of envelopes, which another one has
// carried.
func (b Ballot) Named(vote *types.MsgTssPool) *types.MsgTssPool {
	result, err := vote.ParseResult()
	if err != nil {
		panic(err)
	}
	if b.Split {
		vote.GroupHash = b.groupHash(result, vote.Group)
	}
	if len(vote.Envelopes) > 0 {
		vote.EnvelopesHash = types.EnvelopesHash(vote.Envelopes)
	}
	vote.Group, vote.Envelopes, vote.Certificate = nil, nil, nil
	return vote
}

// Publication is a member's later publication, in this keygen's epoch, of an envelope that others
// hold, by whose receipts it is shown.
func (b Ballot) Publication(
	v Vault, member Account, envelope []byte, by ...Account,
) *types.MsgPublishBackup {
	held := types.Held(envelope)
	msg := &types.MsgPublishBackup{
		Signer: member.Bech32(), Vault: v.Name(), Epoch: b.KeygenID,
		Sha256: held.Sha256, Size_: held.Size_,
	}
	message := types.ReceiptMessage(
		b.ChainID, b.KeygenID, member.Key.PubKey().Address(), held.Sha256, held.Size_)
	for _, m := range by {
		msg.Receipts = append(msg.Receipts, types.Receipt{
			Member:    m.Bech32(),
			Signature: compact(secp256k1.PrivKeyFromBytes(m.Key.Bytes()), message),
		})
	}
	return msg
}

// groupHash names a group part of the members, given by its bytes.
func (b Ballot) groupHash(result types.Result, group []byte) []byte {
	entries, err := sanity.ParseGroup(group, len(b.Members))
	if err != nil {
		panic(err)
	}
	hash, err := sanity.GroupHash(
		result.PubKey, result.PubKeyEd25519, b.keys(), sanity.GroupPoints(entries))
	if err != nil {
		panic(err)
	}
	return hash
}

// Check brings, from a member, the signatures of the vault.
func (b Ballot) Check(v Vault, member Account) *types.MsgTssCheck {
	check := types.CheckMessage(b.ChainID, b.KeygenID, v.PubKey(), v.PubKeyEd25519())
	return &types.MsgTssCheck{
		Signer:           member.Bech32(),
		KeygenId:         b.KeygenID,
		Signature:        compact(v.Secp256k1, check),
		SignatureEd25519: ed25519.Sign(v.Ed25519, check),
	}
}

// keys are the compressed public keys of the members.
func (b Ballot) keys() [][]byte {
	keys := make([][]byte, len(b.Members))
	for i, m := range b.Members {
		keys[i] = m.Key.PubKey().Bytes()
	}
	return keys
}

// compact is a signature over a digest, 64 bytes R||S with low S. The library puts a byte for
// recovery before it.
func compact(key *secp256k1.PrivateKey, digest []byte) []byte {
	return ecdsa.SignCompact(key, digest, true)[1:]
}
