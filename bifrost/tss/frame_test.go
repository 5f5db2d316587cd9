package tss

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func someFrames() []*frame {
	at := slot{instance: 1, step: 2, author: 300, to: everybody}
	return []*frame{
		{kind: frameHello, hello: hello{id: "keygen-1", digest: hash{1}, nonce: nonce{2}, key: point{3}, possession: sig{4}, sig: sig{5}}},
		{kind: frameStart, session: hash{3}},
		{kind: frameMessage, slot: at, sig: sig{4}, payload: []byte("payload")},
		{kind: frameEcho, slot: at, hash: hash{5}, sig: sig{6}, echoes: []echo{{member: 300, held: true, sig: sig{7}}, {member: 1}}},
		{kind: frameWant, wants: []want{{slot: at, content: true}, {}}},
		{kind: frameGone, reason: "reason"},
		{kind: frameFinished},
		{kind: frameLeft, left: 300, echoes: []echo{{member: 1, held: true, sig: sig{8}}}},
	}
}

func TestFrames(t *testing.T) {
	for _, f := range someFrames() {
		b := f.encode()
		got, err := decodeFrame(b)
		require.NoError(t, err)
		require.Equal(t, f, got)

		if f.kind != frameMessage && f.kind != frameGone {
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
		{byte(frameHello), protoV3, 200},
		{byte(frameHello), protoV3 + 1, 1, 'x'},
		{byte(frameStart), 1, 2},
		{byte(frameWant), 1, 2},
		{byte(frameWant), 0, 0, 0, 0, 0, 0, 2},
		append([]byte{byte(frameEcho)}, make([]byte, 6+hashSize+sigSize+1)...),
		append([]byte{byte(frameMessage)}, make([]byte, 6+sigSize-1)...), // a done of 63 bytes
		append([]byte{byte(frameGone)}, make([]byte, maxReason+1)...),
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
