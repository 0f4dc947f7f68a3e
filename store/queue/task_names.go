package queue

// Names of tasks that what people change has run soon.
const (
	// LinesTask classifies added lines (notes/lines/added).
	LinesTask = "lines"
	// PriceTask computes costs anew (store.DB.Reprice).
	PriceTask = "prices"
	// PeopleTask tells bots from people and checks who prompted (store.DB.FindBots,
	// CheckClaims).
	PeopleTask = "people"
)
