package cluster

// ParseStatus reads what cluster/status prints.
var ParseStatus = parseStatus
