package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// hold VAULT KIND records the first member's envelope as one that the members hold, and has the
// third one hold it. The second answers with other bytes whatever it is asked for. Where both are
// is in $LIAR and $HOLDER.
func cmdHold(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	sealed, err := s.seal(args[0], args[1])
	ts.Check(err)
	s.node.Hold(s.vaults[args[0]].Name(), s.infos[0].Address, s.height, sealed)
	s.height++
	s.published = append(s.published, sealed)
	if s.serving == nil {
		s.serve(ts)
	}
	ts.Check(s.serving[1].Put(keygens[args[0]], [][]byte{sealed}))
}

// serve starts the second member's signer and the third's.
func (s *scene) serve(ts *testscript.TestScript) {
	for i, name := range []string{"LIAR", "HOLDER"} {
		key, err := signer.Derive(s.mnemonics[i+1], signer.DefaultHDPath)
		ts.Check(err)
		private := key.Private()
		node, err := tss.New(tss.Config{
			Key: private, ListenAddrs: []string{"/ip4/127.0.0.1/tcp/0"}, Log: zerolog.Nop(),
		})
		sanity.Wipe(private)
		ts.Check(err)
		ts.Defer(func() { _ = node.Close() })
		ts.Check(node.Admit(s.keys))
		at := node.Addrs()[0]
		ts.Setenv(name, at)
		s.node.Put(types.SignerTermKey(key.Address()), &types.SignerTerm{
			Term: 1, Nonce: make([]byte, types.ClaimNonceSize), Height: 1,
			Addresses: strings.Split(at, "/p2p/")[0],
		})
		store := held.Open(ts.MkAbs("held-" + name))
		s.serving = append(s.serving, store)
		server := held.NewServer(held.ServerConfig{Store: store, Log: zerolog.Nop()})
		server.Update([]held.Epoch{{Number: 1, Members: s.keys}})
		lies := name == "LIAR"
		node.Handle(held.Protocol, func(pubKey []byte, st tss.Stream) {
			if lies {
				_, _ = st.Write([]byte("\x00other bytes"))
				return
			}
			server.Serve(pubKey, st)
		})
	}
}
