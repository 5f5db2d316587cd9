package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/internal/recurring"
)

const (
	// mailPeriod is the time between two looks at whether the newest backup was sent.
	mailPeriod = time.Hour
	// mailRetry and maxMailRetry are between two tries to send one.
	mailRetry, maxMailRetry = 10 * time.Second, 15 * time.Minute

	maxSent = 1 << 12
)

// A mailer sends each new backup of the home as one file, as bifrost backup export writes it.
type mailer struct {
	cfg  home.Sink
	dir  string
	keys homebackup.Keys
	// path is where the home remembers what was sent.
	path string
	send func(ctx context.Context, subject, text, name string, data []byte) error
	log  zerolog.Logger
	job  *recurring.Job

	mu     sync.Mutex
	newest *homebackup.Manifest
	// refused is the id of a backup that the server does not take.
	refused string
	status  SinkStatus
}

// sent is what a home remembers of a mailbox.
type sent struct {
	Manifest string    `json:"manifest"`
	Accepted time.Time `json:"accepted"`
}

// openMail returns the mailbox of a sink. Its error wraps [home.ErrConfig].
func openMail(cfg home.Sink) (*sink.Mail, error) {
	credentials, err := sink.ReadCredentials(cfg.CredentialsFile)
	if err != nil {
		return nil, fmt.Errorf("%w: sink %s: %w", home.ErrConfig, cfg.Name, err)
	}
	m, err := sink.OpenMail(cfg.URL, credentials)
	if err != nil {
		return nil, fmt.Errorf("%w: sink %s: %w", home.ErrConfig, cfg.Name, err)
	}
	return m, nil
}

func newMailer(
	homeDir, dir string, cfg home.Sink, keys homebackup.Keys, log zerolog.Logger,
) (*mailer, error) {
	box, err := openMail(cfg)
	if err != nil {
		return nil, err
	}
	m := &mailer{
		cfg: cfg, dir: dir, keys: keys, path: home.SentPath(homeDir, cfg.Name), send: box.Send,
		log: log.With().Str("sink", cfg.Name).Logger(), status: configuredSink(cfg),
	}
	m.job = recurring.New(mailPeriod, mailRetry, maxMailRetry, m.once)
	last, err := m.last()
	if err != nil {
		return nil, err
	}
	m.status.Manifest, m.status.Accepted = last.Manifest, last.Accepted
	return m, nil
}

func (m *mailer) last() (s sent, err error) {
	data, err := durable.Read(m.path, maxSent)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil && json.Unmarshal(data, &s) != nil {
		err = fmt.Errorf("%s is damaged: remove it, and the newest backup is sent again", m.path)
	}
	return s, err
}

// offer tells which backup is the newest.
func (m *mailer) offer(newest *homebackup.Manifest) {
	m.mu.Lock()
	m.newest = newest
	fresh := newest.ID() != m.status.Manifest
	m.mu.Unlock()
	if fresh {
		m.job.Wake()
	}
}

// once sends the newest backup, unless it was sent or refused.
func (m *mailer) once(ctx context.Context) error {
	m.mu.Lock()
	newest, done := m.newest, m.status.Manifest
	refused := m.refused
	m.mu.Unlock()
	if newest == nil || newest.ID() == done || newest.ID() == refused {
		return nil
	}
	err := m.mail(ctx, newest)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, sink.ErrRefused):
		m.log.Error().Err(err).Str("backup", newest.ID()).Msg("A BACKUP IS NOT MAILED, and not tried again")
		m.refused, m.status.Error = newest.ID(), err.Error()
		return nil
	case err != nil:
		if m.status.Error != err.Error() {
			m.log.Warn().Err(err).Str("backup", newest.ID()).Msg("a backup is not mailed; trying again")
		}
		m.status.Error = err.Error()
		return err
	}
	m.log.Info().Str("backup", newest.ID()).Msg("a mail server has accepted the backup")
	m.status.Manifest, m.status.Accepted, m.status.Error = newest.ID(), time.Now().UTC(), ""
	return nil
}

// mail exports a backup, sends it, and remembers that.
func (m *mailer) mail(ctx context.Context, newest *homebackup.Manifest) error {
	plan, err := homebackup.Prepare(ctx, m.dir, m.keys, homebackup.Choice{
		Store: newest.Store, At: newest.ID(),
	}, nil)
	if err != nil {
		return err
	}
	defer plan.Wipe()
	data, err := plan.Export(ctx, m.keys.Home)
	if err != nil {
		return err
	}
	if m.cfg.MaxBytes > 0 && int64(len(data)) > m.cfg.MaxBytes {
		return fmt.Errorf("%w: it has %d bytes, which is more than max_bytes", sink.ErrRefused, len(data))
	}
	subject := fmt.Sprintf("Backup %s of bifrost %s", newest.ID(), newest.Signer)
	text := fmt.Sprintf("The attachment is a home of bifrost on %s, of %s, with %d keyshares. It is "+
		"sealed.\n\nbifrost backup restore --from FILE builds the home from it.\n", newest.ChainID,
		newest.Time.Format(time.RFC3339), newest.Keyshares())
	name := fmt.Sprintf("bifrost-%s.tar.age", newest.ID())
	if err := m.send(ctx, subject, text, name, data); err != nil {
		return err
	}
	state, err := json.Marshal(sent{newest.ID(), time.Now().UTC()})
	if err != nil {
		return err
	}
	return durable.Replace(m.path, append(state, '\n'))
}

// Status is how the mail goes.
func (m *mailer) Status() SinkStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}
