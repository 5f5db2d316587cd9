package tss

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func someFrames() []*frame {
	at := slot{instance: 1, step: 2, author: 300}
	return []*frame{
		{kind: frameHello, id: "keygen-1", digest: hash{1}, nonce: nonce{2}},
		{kind: frameStart, session: hash{3}},
		{kind: frameBroadcast, slot: at, sig: sig{4}, payload: []byte("payload")},
		{kind: frameDirect, slot: at, payload: []byte("payload")},
		{kind: frameEcho, slot: at, hash: hash{5}, sig: sig{6}, echoSig: sig{7}},
		{kind: frameWaiting, waiting: []slot{at, {}}},
		{kind: frameRelay, slot: at, sig: sig{4}, payload: []byte("payload")},
		{kind: frameAbort, abort: abort{members: []uint16{1, 300}, reason: "reason"}},
		{kind: frameAbort, abort: abort{proof: proofEquivocation, slot: at, hash1: hash{1}, sig1: sig{2}, hash2: hash{3}, sig2: sig{4}}},
		{kind: frameAbort, abort: abort{proof: proofFalseEcho, slot: at, echoer: 7, hash1: hash{1}, sig1: sig{2}, echoerSig: sig{3}}},
		{kind: frameDone},
	}
}

func TestFrames(t *testing.T) {
	for _, f := range someFrames() {
		b := f.encode()
		got, err := decodeFrame(b)
		require.NoError(t, err)
		require.Equal(t, f, got)

		if f.kind != frameBroadcast && f.kind != frameDirect && f.kind != frameRelay && (f.kind != frameAbort || f.abort.proof != proofNone) {
			_, err = decodeFrame(append(b, 0))
			require.ErrorIs(t, err, errFrame, "one byte more")
		}
		var stream bytes.Buffer
		require.NoError(t, writeFrame(&stream, b))
		got2, err := readFrame(&stream, maxFrame)
		require.NoError(t, err)
		require.Equal(t, b, got2)
	}
	for _, b := range [][]byte{
		nil,
		{0},
		{99},
		{byte(frameHello)},
		{byte(frameHello), protoV1, 200},
		{byte(frameHello), protoV1 + 1, 1, 'x'},
		{byte(frameStart), 1, 2},
		{byte(frameWaiting), 1, 2},
		{byte(frameAbort), 9},
		{byte(frameAbort), 0, 0xff, 0xff},
		append([]byte{byte(frameAbort), 0, 0, 0}, make([]byte, maxReason+1)...),
	} {
		_, err := decodeFrame(b)
		require.ErrorIs(t, err, errFrame, "%x", b)
	}
}

func TestReadFrameIsBounded(t *testing.T) {
	for _, head := range [][]byte{{0, 0, 0, 0}, {0, 0x10, 0, 1}, {0xff, 0xff, 0xff, 0xff}} {
		_, err := readFrame(io.MultiReader(bytes.NewReader(head), neverRead{t}), maxFrame)
		require.ErrorIs(t, err, errFrame)
	}
	require.Error(t, writeFrame(io.Discard, make([]byte, maxFrame+1)))
}

type neverRead struct{ t *testing.T }

func (r neverRead) Read([]byte) (int, error) {
	r.t.Fatal("read past a length that is out of bounds")
	return 0, io.EOF
}

func FuzzDecodeFrame(f *testing.F) {
	for _, frame := range someFrames() {
		f.Add(frame.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := decodeFrame(b)
		if err == nil && frame.kind != 0 {
			require.Equal(t, b, frame.encode(), "one encoding for each frame")
		}
	})
}
