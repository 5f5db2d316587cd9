package types

import (
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/sanity"
)

const (
	// gasPerByte is what a chain charges for a byte of a transaction, unless it has changed that
	// parameter of x/auth. The chain bounds the gas of a vote by the size and VoteGas, of at least
	// this.
	gasPerByte = 10
	// registerGas is enough for a registration, with the account that it makes.
	registerGas = 250_000
)

// SignerGas is the gas limit of a transaction with this one message, for whoever sends what a
// signer sends: MsgTssJoin, MsgTssPool, MsgTssCheck, MsgPublishBackup, MsgHeartbeat and
// MsgClaimSigner, with a fee or without one, and MsgRegisterSigner, which its operator pays for. It
// is enough for each of them, and no more than the chain takes from one that pays no fee, where a
// byte of a transaction costs x/auth's 10 gas or more.
//
// members is of how many members the keygen or the vault is that a message is about; for a join to
// a reshare those of the epoch that deals are added. A vote says by itself what it costs, and a
// registration and a claim are about neither: they may have 0.
func SignerGas(msg sdk.Msg, members int) (uint64, error) {
	bytes := gasPerByte * uint64(proto.Size(msg))
	e := Exemption{Members: members}
	switch msg := msg.(type) {
	case *MsgTssPool:
		e.Members = len(msg.Group) / sanity.GroupMemberBytes
		e.CarriesGroup, e.NamesGroup = len(msg.Group) != 0, len(msg.GroupHash) != 0
		if msg.PublicShares != nil {
			e.Members = len(msg.PublicShares.Secp256k1)
		}
	case *MsgClaimSigner:
		e.Members = 0
	case *MsgTssJoin, *MsgTssCheck, *MsgPublishBackup:
	case *MsgHeartbeat:
		e.Heartbeat = true
	case *MsgRegisterSigner:
		return registerGas + bytes, nil
	default:
		return 0, fmt.Errorf("%s is no message of a signer", sdk.MsgTypeURL(msg))
	}
	return e.MaxGas() + bytes, nil
}

// HeartbeatGas is what an exempt heartbeat may use beyond the gas for its size and its signature,
// for a vault of so many members, whose record is read in the ante handler and by the message.
func HeartbeatGas(members int) uint64 { return 200_000 + 500*uint64(members) }

// VoteGas is what a transaction without a fee may use beyond the gas for its size and its
// signature, when it carries the public shares of so many members, 0 when it carries none. A proof
// takes 250,000 of it. Without one, a blame in a keygen of 512 members needs most: it reads the
// record that holds all of them, in the ante handler and in its own, and writes those it blames.
// Each member's public shares are checked and written once, and its signature in a certificate
// is verified.
func VoteGas(members int) uint64 {
	n := uint64(members)
	return 1_250_000 + 18_000*n + 16*n*n
}

// CarryingVoteGas is VoteGas for a vote that carries the group part of so many members: each one's
// parameters are checked and written once.
func CarryingVoteGas(members int) uint64 {
	return VoteGas(members) + 60_000*uint64(members)
}

// NamingVoteGas is VoteGas for a vote that names the group part, in a keygen of any size. With the
// gas for its size and its signature it comes to less than 900,000, when its envelope holds a
// member's own secrets alone: a hundred of them fit into a block of 100,000,000.
const NamingVoteGas = 800_000
