package main

import (
	"encoding/json"
	"os"

	"example.com/stay/api"
	"example.com/stay/internal/engine"
	"example.com/stay/internal/keeper"
)

// tableFD is the descriptor of the table that a program is asked about.
const tableFD = 3

// checkUpgradeMain says whether this program could carry on with what another one runs.
func checkUpgradeMain() int {
	data, err := keeper.ReadMemfd(tableFD)
	if err == nil {
		err = engine.CheckTable(data)
	}
	if err != nil {
		return refuse(err, "")
	}
	_ = json.NewEncoder(os.Stdout).Encode(engine.Answer(api.Version))
	return 0
}
