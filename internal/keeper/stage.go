package keeper

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A stageResult is what the exec stage said before it was gone: nothing, when the program runs.
type stageResult struct {
	row  *row
	gen  uint64
	fail *Failure
}

// maxReport bounds the report of an exec stage, in bytes.
const maxReport = 4096

// readStage reads the exec stage's report to its end, which comes with the exec. fd does not block, so that a hundred
// stages that wait for a dead file system cost no thread.
func readStage(r *row, gen uint64, fd int, results chan<- stageResult) {
	f := os.NewFile(uintptr(fd), "exec stage")
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxReport))
	res := stageResult{row: r, gen: gen}
	if len(data) > 0 {
		res.fail = new(Failure)
		if err := json.Unmarshal(data, res.fail); err != nil {
			res.fail = &Failure{Stage: "exec stage", Errno: int(unix.EPROTO), Detail: fmt.Sprintf("%.200q", data)}
		}
	} else if err != nil {
		res.fail = failure("exec stage", "", err)
	}
	results <- res
}

// stageDone takes the report. The process of a failed stage is waited for before anything is told of it.
func (k *Keeper) stageDone(res stageResult) {
	r := res.row
	if r.gen != res.gen || !r.stage {
		return
	}
	if res.fail == nil {
		r.stage = false
		exit := r.exit
		k.born(r)
		if exit != nil {
			k.mainEnded(r, *exit)
		}
		return
	}
	r.fail = res.fail
	if r.exit != nil {
		k.notBorn(r, *r.fail)
	}
}
