package main

import (
	"errors"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/bifrost/transfer"
)

// The exit codes are part of the command's interface. 4, 5 and 6 mean what they mean for
// recover-keyshares.
const (
	codeOther       = command.CodeOther
	codeUsage       = command.CodeUsage
	codeUnhealthy   = 3
	codeMnemonic    = 4
	codeCheck       = 5
	codeUnreachable = 6
	codeInUse       = 8
)

const exitCodes = `Exit codes:
  0  done
  1  anything that is not listed here, such as a different file in the way, or a
     full disk
  2  wrong usage or configuration
  3  status: bifrost runs and has a problem; doctor: a check failed
  4  the mnemonic is refused: it fails a check, others may read its file, the chain
     knows another signer or another recipient key, it opens none of the backups, or
     the keyshares to import are another member's
  5  an envelope, or a keyshare that is to be sealed or lies in the keystore, fails a
     check; or a backup is not whole, or a sink lacks files or holds other bytes; or
     members do not agree on an export, or an exported file is not in order
  6  no bifrost runs in this home, or the node cannot be reached
  8  another bifrost uses this home, or another backup of it is made
  130  interrupted (143 by SIGTERM); start ends in order, with 0`

var (
	errMnemonic  = errors.New("mnemonic refused")
	errCheck     = errors.New("sealing")
	errKeystore  = errors.New("the keystore is not in order")
	errUnhealthy = errors.New("bifrost has a problem")
)

// codeOf returns the exit code of an error.
func codeOf(err error) int {
	for _, kind := range []struct {
		err  error
		code int
	}{
		{errMnemonic, codeMnemonic},
		{command.ErrNoWords, codeMnemonic},
		{registration.ErrRefused, codeMnemonic},
		{home.ErrConfig, codeUsage},
		{home.ErrInUse, codeInUse},
		{service.ErrNotRunning, codeUnreachable},
		{chain.ErrUnreachable, codeUnreachable},
		{errCheck, codeCheck},
		{errKeystore, codeCheck},
		{keystore.ErrSealed, codeCheck},
		{homebackup.ErrDamaged, codeCheck},
		{sink.ErrAltered, codeCheck},
		{errIncomplete, codeCheck},
		{transfer.ErrMember, codeMnemonic},
		{transfer.ErrRefused, codeCheck},
		{transfer.ErrFile, codeCheck},
		{keyfiles.ErrKeyshares, codeCheck},
		{sink.ErrURL, codeUsage},
		{homebackup.ErrOthers, codeMnemonic},
		{homebackup.ErrChoose, codeUsage},
		{homebackup.ErrBusy, codeInUse},
		{errUnhealthy, codeUnhealthy},
	} {
		if errors.Is(err, kind.err) {
			return kind.code
		}
	}
	return codeOther
}
