package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/sanity"
)

// tries is how often a person is asked for a mnemonic that is not right.
const tries = 3

// ErrNoWords means that the person at the terminal ended the question without an answer.
var ErrNoWords = errors.New("no mnemonic was given")

// Mnemonic reads a mnemonic and gives it to use, which does not keep it. When a person was asked
// and wrong says of the error of use that the words are to blame, the person is asked again, three
// times in all.
func (in *Invocation) Mnemonic(
	ctx context.Context,
	s process.Secret,
	wrong func(error) bool,
	use func(raw []byte, warning string) error,
) error {
	s.Terminal = in.Terminal()
	if s.Prompt == "" {
		s.Prompt = "Mnemonic of the signer (it is not shown): "
	}
	for try := 1; ; try++ {
		err := in.ask(ctx, s, use)
		if err == nil || try == tries || !s.Asks() || errors.Is(err, ErrNoWords) || !wrong(err) {
			return err
		}
		in.Terminal().Settle(ctx)
		in.Progress("%s; asking again, %d of %d", OneLine(err.Error()), try+1, tries)
	}
}

func (in *Invocation) ask(
	ctx context.Context,
	s process.Secret,
	use func(raw []byte, warning string) error,
) error {
	raw, warning, err := s.Read(ctx)
	defer sanity.Wipe(raw)
	switch {
	case errors.Is(err, process.ErrNoTerminal):
		return Usage(fmt.Errorf("%w to ask for the mnemonic on: give --mnemonic-file", err))
	case errors.Is(err, io.EOF):
		return ErrNoWords
	case err != nil:
		return err
	}
	return use(raw, warning)
}

// Answer asks for a short answer, which it returns in lower case and without white space around.
// When a mnemonic comes instead, it says so, and asks again without showing anything.
func (in *Invocation) Answer(ctx context.Context, prompt string) (string, error) {
	for hidden := false; ; hidden = true {
		if hidden {
			prompt = strings.TrimRight(prompt, " :") + " (it is not shown): "
		}
		line, err := in.Terminal().Answer(ctx, prompt, hidden)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if answer := strings.ToLower(string(bytes.TrimSpace(line))); !sanity.LooksSecret(line) {
			return answer, nil
		}
		sanity.Wipe(line)
		in.Terminal().Settle(ctx)
		in.Warn("that was no answer and may be a mnemonic, which is asked for later. If any of it " +
			"can be seen above, clear the terminal with its scrollback, and what else keeps what a " +
			"terminal shows (tmux, script)")
	}
}
