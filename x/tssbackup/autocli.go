package tssbackup

import (
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"github.com/cosmos/cosmos-sdk/version"
)

// AutoCLIOptions describes the commands `query tssbackup` and `tx tssbackup`.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "tssbackup.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters"},
				{
					RpcMethod:      "Signer",
					Use:            "signer [address]",
					Short:          "Show the signer of an operator, or who a signer belongs to",
					PositionalArgs: args("address"),
				},
				{RpcMethod: "Signers", Use: "signers", Short: "List the registered signers"},
				{
					RpcMethod:      "SignerTerm",
					Use:            "signer-term [address]",
					Short:          "Show which instance of a signer may act",
					PositionalArgs: args("address"),
				},
				{
					RpcMethod:      "Churn",
					Use:            "churn [id]",
					Short:          "Show one churn",
					PositionalArgs: args("id"),
				},
				{RpcMethod: "Churns", Use: "churns", Short: "List the churns"},
				{
					RpcMethod:      "Keygen",
					Use:            "keygen [id]",
					Short:          "Show one keygen with its votes and blames",
					PositionalArgs: args("id"),
				},
				{RpcMethod: "Keygens", Use: "keygens", Short: "List the keygens"},
				{
					RpcMethod:      "Vault",
					Use:            "vault [vault]",
					Short:          "Show one vault, named by its secp256k1 key in hex",
					PositionalArgs: args("vault"),
				},
				{
					RpcMethod: "Vaults",
					Use:       "vaults",
					Short:     "List the vaults that are not retired, or those of one status or member",
					Example: fmt.Sprintf(
						"%s query tssbackup vaults --member cosmos1...",
						version.AppName,
					),
				},
				{
					RpcMethod: "History",
					Use:       "history [member]",
					Short:     "List every vault that a member was ever in, with what it published",
					Example: fmt.Sprintf(
						"%s query tssbackup history cosmos1... --page-reverse",
						version.AppName,
					),
					PositionalArgs: args("member"),
				},
				{
					RpcMethod:      "Backup",
					Use:            "backup [vault] [member]",
					Short:          "Show the commitments of a member of a vault",
					PositionalArgs: args("vault", "member"),
				},
				{
					RpcMethod:      "Envelope",
					Use:            "envelope [vault] [member]",
					Short:          "Fetch the envelope of a member of a vault from the node's archive",
					PositionalArgs: args("vault", "member"),
				},
				{
					RpcMethod:      "Proof",
					Use:            "proof [vault] [member]",
					Short:          "Show what state keeps of the proof of a member of a vault",
					PositionalArgs: args("vault", "member"),
				},
				{
					RpcMethod: "Proofs",
					Use:       "proofs [vault]",
					Short:     "Show the members' public shares and proofs: all that rebuilding a vault's keys takes beside the mnemonics",
					Long: "Show the members' public shares and what state keeps of their proofs. With --output json it is\n" +
						"what `recover-keyshares rebuild --state` reads.",
					PositionalArgs: args("vault"),
				},
				{
					RpcMethod: "Group",
					Use:       "group [vault]",
					Short:     "Fetch the group part of a split vault: what its members' keyshares have in common",
					Long: "Fetch the group part of a split vault. A member's envelope holds its own secrets alone; with\n" +
						"the group part they are its keyshares again.",
					PositionalArgs: args("vault"),
				},
				{
					RpcMethod: "Coverage",
					Use:       "coverage [vault]",
					Short:     "Show who has published and proven a backup, of one vault or of all that are not retired",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{
						{ProtoField: "vault", Optional: true},
					},
				},
				{RpcMethod: "Beacons", Use: "beacons", Short: "Show what a heartbeat may sign now"},
				{RpcMethod: "Pause", Use: "pause", Short: "Show whether the chain has paused the module"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "tssbackup.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{
					RpcMethod: "RegisterSigner",
					Use:       "register-signer [pub-key] [signature] [recipient-key] [recipient-index] [possession] --from [operator-key]",
					Short:     "Bind a signer to the validator of the key that sends it",
					Long: "Bind a signer to the validator of the key that sends it, or replace the one it has.\n" +
						"The same signer with another recipient key and a higher index replaces that key for keygens that\n" +
						"open later. All arguments but the index are hex: bifrost init and bifrost register print them\n" +
						"for a mnemonic.",
					PositionalArgs: args(
						"pub_key",
						"signature",
						"recipient_key",
						"recipient_index",
						"possession",
					),
				},
				{RpcMethod: "ClaimSigner", Skip: true},
				{RpcMethod: "TssJoin", Skip: true},
				{RpcMethod: "TssPool", Skip: true},
				{RpcMethod: "TssCheck", Skip: true},
				{RpcMethod: "PublishBackup", Skip: true},
				{RpcMethod: "Heartbeat", Skip: true},
				{
					RpcMethod:   "StartChurn",
					Use:         "start-churn",
					Short:       "Propose to open a churn",
					GovProposal: true,
				},
				{
					RpcMethod: "StartReshare",
					Use:       "start-reshare [vault]",
					Short:     "Propose that the members of a vault hand it over, with the keys that it has",
					Long: "Propose a ceremony in which the members of a vault give its next members keyshares of the same\n" +
						"keys: the operators that --operators names, or the present ones that can. It does not revoke what\n" +
						"leaked.",
					PositionalArgs: args("vault"),
					GovProposal:    true,
				},
				{
					RpcMethod:      "RetireVault",
					Use:            "retire-vault [vault]",
					Short:          "Propose to retire a vault that is retiring and holds no money any more",
					PositionalArgs: args("vault"),
					GovProposal:    true,
				},
				{
					RpcMethod: "UpdateParams",
					Use:       "update-params [params]",
					Short:     "Propose to replace all parameters",
					Long: fmt.Sprintf("Propose to replace all parameters, given as JSON. "+
						"`%s query tssbackup params --output json` shows them.", version.AppName),
					PositionalArgs: args("params"),
					GovProposal:    true,
				},
			},
		},
	}
}

func args(fields ...string) []*autocliv1.PositionalArgDescriptor {
	list := make([]*autocliv1.PositionalArgDescriptor, len(fields))
	for i, field := range fields {
		list[i] = &autocliv1.PositionalArgDescriptor{ProtoField: field}
	}
	return list
}
