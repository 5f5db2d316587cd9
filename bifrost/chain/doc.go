// Package chain is what bifrost and the recovery tool need of a node: one CometBFT RPC endpoint,
// asked for the module's records, for blocks and for an account, and handed signed transactions.
//
// A node is not trusted to behave: every answer has a size limit and a deadline, and whatever it
// says in an error is shortened and stripped of control characters before it reaches a terminal.
// What it says in an answer is believed by a [Client], which suits a node of one's own.
//
// Whoever must not depend on one node's word begins with [NewLight]. It verifies a recent header
// from a trusted one and hands out a [State], whose records are verified against that header, and
// their absence too. Nodes whose answers cannot be verified are reported, and others asked.
//
// Callers branch on the errors [ErrUnreachable], [ErrNotFound], [ErrNoBlock] and [ErrNoEnvelope]
// with errors.Is. A [RefusedError] carries the code with which the application refused a query or a
// transaction, and matches the SDK's error of that code: sdkerrors.ErrWrongSequence,
// sdkerrors.ErrTxInMempoolCache.
package chain
