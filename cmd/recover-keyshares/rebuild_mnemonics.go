package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/rebuild"
	"github.com/tssbackup/tssbackup/sanity"
)

// collect opens the members' shares with the mnemonics, and tells what came of each.
func (r *rebuilding) collect(
	ctx context.Context,
	state *rebuild.State,
	opening *rebuild.Opening,
) (*rebuilt, error) {
	result := &rebuilt{
		Vault:         state.Vault(),
		PubKeyEd25519: state.Ed25519(),
		KeygenID:      state.Keygen(),
		Need:          state.Need(),
		Nodes:         r.trust.NodeNames(),
		ChainID:       command.OneLine(r.chainID),
		Height:        r.height,
		Verified:      r.stateFile == "",
		Members:       []rebuiltMember{},
		Strangers:     []string{},
		Unreadable:    []string{},
		Unopened:      []string{},
	}
	for _, m := range state.Members() {
		member := rebuiltMember{
			Address:        m.Address,
			RecipientIndex: m.RecipientIndex,
			Result:         "missing",
			Mnemonics:      []string{},
		}
		if m.Err != nil {
			member.Result, member.Error = "damaged", command.OneLine(m.Err.Error()+": "+elsewhere)
		}
		if errors.Is(m.Err, rebuild.ErrUnproven) {
			member.Result, member.Error = "unproven", command.OneLine(m.Err.Error())
		}
		result.Members = append(result.Members, member)
	}
	use := func(source string, mnemonic *sanity.Mnemonic) {
		defer mnemonic.Wipe()
		whose, err := opening.Add(mnemonic)
		if errors.Is(err, rebuild.ErrStranger) {
			r.Warn(
				command.OneLine(
					source + ": " + err.Error() + "; if it should, the state may be damaged: " + elsewhere,
				),
			)
			result.Strangers = append(result.Strangers, command.OneLine(source))
			return
		}
		for i := range result.Members {
			m := &result.Members[i]
			if !slices.Contains(whose, m.Address) {
				continue
			}
			m.Mnemonics = append(m.Mnemonics, command.OneLine(source))
			if opening.Opened(i) {
				m.Result = "opened"
			} else if err != nil {
				m.Result, m.Error = "damaged", command.OneLine(err.Error()+": "+elsewhere)
			}
			r.Progress("%s: the mnemonic of %s", command.OneLine(source), m.Address)
		}
	}
	defer func() { result.Missing = opening.Missing() }()
	return result, r.mnemonics(ctx, result, opening.Missing, use)
}

// mnemonics uses those in the files, or asks for them until none is missing or an empty line comes.
// Files that hold none are named in the result.
func (r *rebuilding) mnemonics(
	ctx context.Context,
	result *rebuilt,
	missing func() int,
	use func(source string, mnemonic *sanity.Mnemonic),
) error {
	if len(r.files) == 0 {
		return r.prompt(ctx, missing, use)
	}
	for _, path := range r.files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		mnemonic, err := r.read(ctx, process.Secret{Path: path, Terminal: r.Terminal()})
		if errors.Is(err, errMnemonic) {
			r.Warn(command.OneLine(err.Error()))
			result.Unreadable = append(result.Unreadable, command.OneLine(path))
			continue
		}
		if err != nil {
			return err
		}
		use(path, mnemonic)
	}
	return nil
}

// prompt asks for mnemonics at the terminal until there are enough, or an empty line comes.
func (r *rebuilding) prompt(
	ctx context.Context,
	missing func() int,
	use func(string, *sanity.Mnemonic),
) error {
	for number := 1; missing() > 0; {
		mnemonic, err := r.read(ctx, process.Secret{
			Prompt: fmt.Sprintf(
				"Mnemonic %d, %d more are needed (it is not shown; empty to end): ",
				number,
				missing(),
			),
			Terminal: r.Terminal(),
		})
		switch {
		case errors.Is(err, errEmpty), errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errMnemonic):
			r.Terminal().Settle(ctx)
			r.Warn(command.OneLine(err.Error()))
		case err != nil:
			return err
		default:
			use(fmt.Sprintf("mnemonic %d", number), mnemonic)
			number++
		}
	}
	return nil
}

// errEmpty means that nothing was typed.
var errEmpty = errors.New("no mnemonic was given")

func (r *rebuilding) read(ctx context.Context, secret process.Secret) (*sanity.Mnemonic, error) {
	raw, warning, err := secret.Read(ctx)
	defer sanity.Wipe(raw)
	if err != nil {
		return nil, err
	}
	if warning != "" {
		r.Warn(warning)
	}
	if secret.Asks() && len(bytes.TrimSpace(raw)) == 0 {
		return nil, errEmpty
	}
	mnemonic, err := sanity.ParseMnemonic(raw)
	if err != nil && !secret.Asks() {
		return nil, fmt.Errorf("%s: %w: %w", secret.Path, errMnemonic, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMnemonic, err)
	}
	return mnemonic, nil
}
