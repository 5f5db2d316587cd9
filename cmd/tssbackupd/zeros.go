package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/client/v2/autocli/flag"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/gogoproto/proto"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	protov2 "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"sigs.k8s.io/yaml"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// autocli leaves out what is zero: a member that has not proven would have no "proven", and a
// script that looks for it would have to know what its absence means. The module's own queries are
// printed whole.

// enhance makes the modules' commands.
func enhance(root *cobra.Command, options autocli.AppOptions) error {
	files, err := proto.MergedRegistry()
	if err != nil {
		return err
	}
	var answer protov2.Message
	err = options.EnhanceRootCommandWithBuilder(root, &autocli.Builder{
		Builder: flag.Builder{
			TypeResolver:          protoregistry.GlobalTypes,
			FileResolver:          files,
			AddressCodec:          options.AddressCodec,
			ValidatorAddressCodec: options.ValidatorAddressCodec,
			ConsensusAddressCodec: options.ConsensusAddressCodec,
		},
		GetClientConn: func(cmd *cobra.Command) (grpc.ClientConnInterface, error) {
			conn, err := client.GetClientQueryContext(cmd)
			return &listening{conn, &answer}, err
		},
		AddQueryConnFlags: func(cmd *cobra.Command) {
			flags.AddQueryFlagsToCmd(cmd)
			flags.AddKeyringFlags(cmd.Flags())
		},
		AddTxConnFlags: flags.AddTxFlagsToCmd,
	})
	if err != nil {
		return err
	}
	queries, _, err := root.Find([]string{"query", types.ModuleName})
	if err != nil {
		return err
	}
	for _, query := range queries.Commands() {
		run := query.RunE
		query.RunE = func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			cmd.SetOut(io.Discard)
			if err := run(cmd, args); err != nil || answer == nil {
				return err
			}
			return printWhole(out, cmd, answer)
		}
	}
	return nil
}

// listening keeps the last answer to a query.
type listening struct {
	grpc.ClientConnInterface
	answer *protov2.Message
}

func (l *listening) Invoke(
	ctx context.Context, method string, request, answer any, options ...grpc.CallOption,
) error {
	err := l.ClientConnInterface.Invoke(ctx, method, request, answer, options...)
	if msg, ok := answer.(protov2.Message); ok && err == nil {
		*l.answer = msg
	}
	return err
}

// printWhole prints an answer with all of its fields, in the form that the user asked for.
func printWhole(w io.Writer, cmd *cobra.Command, answer protov2.Message) error {
	whole := protojson.MarshalOptions{EmitUnpopulated: true, UseProtoNames: true}
	text, err := whole.Marshal(answer)
	if err != nil {
		return err
	}
	form := client.GetClientContextFromCmd(cmd).OutputFormat
	if asked, err := cmd.Flags().GetString(flags.FlagOutput); err == nil &&
		(form == "" || cmd.Flags().Changed(flags.FlagOutput)) {
		form = asked
	}
	if form == flags.OutputFormatText {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
		_, err = io.WriteString(w, strings.TrimSpace(string(text))+"\n")
		return err
	}
	// What protojson writes between the fields differs from run to run.
	var b bytes.Buffer
	if flat, _ := cmd.Flags().GetBool("no-indent"); flat {
		err = json.Compact(&b, text)
	} else {
		err = json.Indent(&b, text, "", "  ")
	}
	if err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}
