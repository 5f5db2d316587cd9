package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
)

// office is a mail server that answers as the test says, and keeps the attachments.
type office struct {
	attached [][]byte
	err      error
}

func (o *office) send(_ context.Context, _, _, _ string, data []byte) error {
	if o.err != nil {
		return o.err
	}
	o.attached = append(o.attached, data)
	return nil
}

// correspondence is a home, the folder of its backups, and who mails them.
type correspondence struct {
	*office
	owner homebackup.Owner
	dir   string
	cfg   home.Sink
}

func newCorrespondence(t *testing.T) *correspondence {
	m := fakemember.New(t)
	m.OneVault()
	m.Save(t, m.Vaults[0])
	cfg := fakemember.Config()
	require.NoError(t, cfg.Write(m.Home))
	owner, err := BackupOwner(m.Home, cfg, m.Mnemonic)
	require.NoError(t, err)
	return &correspondence{&office{}, owner, filepath.Join(t.TempDir(), "backups"), home.Sink{
		Name: "ops", URL: "mailto:ops@example.org?server=127.0.0.1:587&from=bifrost@example.org",
	}}
}

func (c *correspondence) keys() homebackup.Keys {
	return homebackup.Keys{Home: c.owner.Keys, PubKey: c.owner.Key.PubKey()}
}

func (c *correspondence) mailer(t *testing.T) *mailer {
	m, err := newMailer(c.owner.Home, c.dir, c.cfg, c.keys(), zerolog.Nop())
	require.NoError(t, err)
	m.send = c.send
	return m
}

// backUp makes another backup, for which a file of the home changes.
func (c *correspondence) backUp(t *testing.T) *homebackup.Manifest {
	path := filepath.Join(home.OutboxDir(c.owner.Home), "closed", fmt.Sprintf("keygen-%d.json", time.Now().UnixNano()))
	require.NoError(t, durable.Replace(path, []byte(`{"step":"done"}`)))
	created, err := homebackup.Create(t.Context(), c.owner, c.dir, time.Now())
	require.NoError(t, err)
	require.False(t, created.Unchanged)
	return created.Manifest
}

func TestEachBackupIsMailedOnceAsAFileToRestoreFrom(t *testing.T) {
	c := newCorrespondence(t)
	m := c.mailer(t)
	require.NoError(t, m.once(t.Context()), "there is none yet")
	first := c.backUp(t)
	m.offer(first)
	require.NoError(t, m.once(t.Context()))
	require.NoError(t, m.once(t.Context()))
	require.Len(t, c.attached, 1)
	st := m.Status()
	require.Equal(t, first.ID(), st.Manifest)
	require.NotZero(t, st.Accepted)
	require.Zero(t, st.LastSuccess, "accepted is not stored")

	again := c.mailer(t)
	require.Equal(t, first.ID(), again.Status().Manifest)
	again.offer(first)
	require.NoError(t, again.once(t.Context()))
	require.Len(t, c.attached, 1, "a process that starts sends nothing again")
	second := c.backUp(t)
	again.offer(second)
	require.NoError(t, again.once(t.Context()))
	require.Len(t, c.attached, 2)

	path := filepath.Join(t.TempDir(), "mailed.tar.age")
	require.NoError(t, os.WriteFile(path, c.attached[1], 0o600))
	plan, err := homebackup.PrepareFile(t.Context(), path, c.keys(), nil)
	require.NoError(t, err)
	defer plan.Wipe()
	require.Equal(t, second.ID(), plan.Manifest.ID())
	require.True(t, plan.Whole())
}

func TestMailThatIsRefusedForGoodIsNotTriedAgain(t *testing.T) {
	c := newCorrespondence(t)
	m := c.mailer(t)
	c.err = errors.New("connection refused")
	m.offer(c.backUp(t))
	require.ErrorContains(t, m.once(t.Context()), "connection refused", "it is tried again")
	require.Contains(t, m.Status().Problems()[0], "sink ops: connection refused")
	c.err = fmt.Errorf("%w: 552 too large", sink.ErrRefused)
	require.NoError(t, m.once(t.Context()))
	require.Contains(t, m.Status().Problems()[0], "552 too large")
	c.err = nil
	require.NoError(t, m.once(t.Context()))
	require.Empty(t, c.attached, "that one is over")
	require.NotEmpty(t, m.Status().Problems())
	m.offer(c.backUp(t))
	require.NoError(t, m.once(t.Context()))
	require.Len(t, c.attached, 1)
	require.Empty(t, m.Status().Problems())

	c.cfg.MaxBytes = 10
	small := c.mailer(t)
	small.offer(c.backUp(t))
	require.NoError(t, small.once(t.Context()))
	require.Contains(t, small.Status().Problems()[0], "more than max_bytes")
	require.Len(t, c.attached, 1)
}

func TestAMailboxOfTheConfigurationIsOpened(t *testing.T) {
	require.NoError(t, CheckSink(newCorrespondence(t).cfg))
	require.ErrorIs(t, CheckSink(home.Sink{Name: "ops", URL: "mailto:ops"}), home.ErrConfig)
	c := newCorrespondence(t)
	require.NoError(t, durable.Replace(home.SentPath(c.owner.Home, "ops"), []byte("{")))
	_, err := newMailer(c.owner.Home, c.dir, c.cfg, c.keys(), zerolog.Nop())
	require.ErrorContains(t, err, "is damaged: remove it")
}
