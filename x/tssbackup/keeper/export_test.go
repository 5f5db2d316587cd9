package keeper

import "github.com/tssbackup/tssbackup/verenc"

// SetVerify sets what checks proofs.
func (k *Keeper) SetVerify(verify func(verenc.Statement, []byte) ([]byte, error)) { k.verify = verify }
