-- Wireshark dissectors for what wlad sites say to each other: see wlad-protocol(7) and README.
--
--   wlad       transfer packets (UDP): their headers; all else in them is sealed
--   wlad_load  messages of the load exchange, inside TLS with the ALPN protocol wlad/1
--
-- For Wireshark and tshark 3.4 and later.

local wlad = Proto("wlad", "wlad transfer packet")
local wlad_load = Proto("wlad_load", "wlad load exchange")

-- ---- transfer packets ----

local HEADER, INFO, TAG = 16, 8, 16
local SHORTEST = HEADER + INFO + TAG
local VERSION = 1
local TYPES = { [11] = "data", [12] = "probe", [13] = "probe answer", [14] = "direct-reply probe" }
-- what probes are at least, behind the additional information
local MESSAGES = { [12] = 8, [13] = 8, [14] = 8 }

wlad.prefs.ports = Pref.range("UDP ports", "7210,7211",
	"Ports that are taken for transfer packets; on others they are recognized by their header",
	65535)
wlad.prefs.counters = Pref.bool("Look for repeated counters", true,
	"Mark packets whose key index, epoch and counter came before; takes memory for each packet")

local f = {
	version = ProtoField.uint8("wlad.version", "Version", base.DEC, nil, 0xf0),
	type = ProtoField.uint8("wlad.type", "Type", base.DEC, TYPES, 0x0f),
	flags = ProtoField.uint8("wlad.flags", "Flags", base.HEX),
	reserved = ProtoField.uint16("wlad.reserved", "Reserved", base.HEX),
	key_index = ProtoField.uint32("wlad.key_index", "Key index", base.HEX, nil, nil,
		"The receiver's number of the key"),
	epoch = ProtoField.uint16("wlad.epoch", "Epoch", base.DEC),
	counter = ProtoField.uint64("wlad.counter", "Counter", base.DEC, nil, nil,
		"Packets of this key and epoch before this one"),
	sealed = ProtoField.bytes("wlad.sealed", "Sealed", base.NONE, "Encrypted: additional "
		.. "information (8 octets) and, in data packets, the client packet"),
	inner_len = ProtoField.uint32("wlad.inner_len", "Octets of the packet or message inside"),
	tag = ProtoField.bytes("wlad.tag", "Tag"),
	first = ProtoField.framenum("wlad.first", "The counter came first in", base.NONE,
		frametype.RETRANS_PREV),
}
wlad.fields = { f.version, f.type, f.flags, f.reserved, f.key_index, f.epoch, f.counter,
	f.sealed, f.inner_len, f.tag, f.first }

local e = {
	short = ProtoExpert.new("wlad.short", "Too short for a transfer packet: transfer_short",
		expert.group.MALFORMED, expert.severity.ERROR),
	version = ProtoExpert.new("wlad.version.unknown", "Unknown version: transfer_version",
		expert.group.PROTOCOL, expert.severity.ERROR),
	type = ProtoExpert.new("wlad.type.unknown", "Unknown type: transfer_version",
		expert.group.PROTOCOL, expert.severity.ERROR),
	reserved = ProtoExpert.new("wlad.reserved.set",
		"Flags and reserved have to be 0: transfer_version", expert.group.PROTOCOL,
		expert.severity.ERROR),
	index = ProtoExpert.new("wlad.key_index.zero", "No key has the index 0: transfer_key",
		expert.group.PROTOCOL, expert.severity.ERROR),
	message = ProtoExpert.new("wlad.message.short",
		"Too short for a message of this type: transfer_inner", expert.group.PROTOCOL,
		expert.severity.ERROR),
	again = ProtoExpert.new("wlad.counter.again",
		"The same counter came before: transfer_replay", expert.group.SEQUENCE,
		expert.severity.WARN),
}
wlad.experts = { e.short, e.version, e.type, e.reserved, e.index, e.message, e.again }

-- The frame in which each counter came first, by ends, key index, epoch and counter.
local seen = {}

function wlad.init()
	seen = {}
end

local function counter_came_first(tvb, pinfo)
	local key = tostring(pinfo.dst) .. " " .. tostring(tvb(4, 12):bytes())
	if not seen[key] then
		seen[key] = pinfo.number
	end
	return seen[key]
end

local function add_checked(tree, field, range, bad, info)
	local item = tree:add(field, range)
	if bad then
		item:add_proto_expert_info(info)
	end
	return item
end

local function dissect_header(tvb, tree)
	local version, kind = tvb(0, 1):bitfield(0, 4), tvb(0, 1):bitfield(4, 4)

	add_checked(tree, f.version, tvb(0, 1), version ~= VERSION, e.version)
	add_checked(tree, f.type, tvb(0, 1), TYPES[kind] == nil, e.type)
	add_checked(tree, f.flags, tvb(1, 1), tvb(1, 1):uint() ~= 0, e.reserved)
	add_checked(tree, f.reserved, tvb(2, 2), tvb(2, 2):uint() ~= 0, e.reserved)
	add_checked(tree, f.key_index, tvb(4, 4), tvb(4, 4):uint() == 0, e.index)
	tree:add(f.epoch, tvb(8, 2))
	tree:add(f.counter, tvb(10, 6))
	return kind
end

function wlad.dissector(tvb, pinfo, tree)
	local len = tvb:len()

	if len == 0 then
		return 0
	end
	pinfo.cols.protocol = "WLAD"
	local top = tree:add(wlad, tvb())
	if len < SHORTEST then
		pinfo.cols.info = string.format("Too short for a transfer packet, %d octets", len)
		top:add_proto_expert_info(e.short)
		if len < HEADER then
			return len
		end
	end
	local kind = dissect_header(tvb, top)
	if len < SHORTEST then
		return len
	end
	local name = TYPES[kind] or string.format("type %d", kind)
	local inner = len - SHORTEST
	local text = string.format("%s, key index %08x, epoch %d, counter %s, %d octets", name,
		tvb(4, 4):uint(), tvb(8, 2):uint(), tostring(tvb(10, 6):uint64()), inner)
	pinfo.cols.info = text
	top:append_text(", " .. text)
	if wlad.prefs.counters then
		local first = counter_came_first(tvb, pinfo)
		if first ~= pinfo.number then
			top:add(f.first, tvb(10, 6), first):set_generated()
			top:add_proto_expert_info(e.again)
		end
	end
	top:add(f.sealed, tvb(HEADER, len - HEADER - TAG))
	local item = top:add(f.inner_len, tvb(HEADER, len - HEADER - TAG), inner)
	item:set_generated()
	if MESSAGES[kind] and inner < MESSAGES[kind] then
		item:add_proto_expert_info(e.message)
	end
	top:add(f.tag, tvb(len - TAG, TAG))
	return len
end

-- What no datagram of another protocol is likely to look like.
local function is_transfer_packet(tvb)
	if tvb:len() < SHORTEST then
		return false
	end
	local first = tvb(0, 1):uint()
	return first >= 0x1b and first <= 0x1e and tvb(1, 3):uint() == 0 and tvb(4, 4):uint() ~= 0
end

local function heuristic(tvb, pinfo, tree)
	if not is_transfer_packet(tvb) then
		return false
	end
	-- from now on what is wrong with packets between these two is shown as well
	pinfo.conversation = wlad
	wlad.dissector(tvb, pinfo, tree)
	return true
end

local udp_ports = DissectorTable.get("udp.port")
local ports_in_use

function wlad.prefs_changed()
	if ports_in_use == wlad.prefs.ports then
		return
	end
	if ports_in_use ~= "" then
		udp_ports:remove(ports_in_use, wlad)
	end
	ports_in_use = wlad.prefs.ports
	if ports_in_use ~= "" then
		udp_ports:add(ports_in_use, wlad)
	end
end

ports_in_use = wlad.prefs.ports
udp_ports:add(ports_in_use, wlad)
wlad:register_heuristic("udp", heuristic)

-- ---- load exchange ----

local MESSAGE_HEADER, BODY_MAX, TLV_HEADER = 6, 65536, 4
local PORT = 7210

local m = {
	type = ProtoField.uint8("wlad_load.type", "Type", base.DEC, {
		[1] = "HELLO", [2] = "KEY_READY", [3] = "LOAD", [4] = "CLOSED", [5] = "PROBE",
		[6] = "SITES", [7] = "BYE" }),
	reserved = ProtoField.uint8("wlad_load.reserved", "Reserved", base.HEX),
	length = ProtoField.uint32("wlad_load.length", "Octets of the body"),
	tlv = ProtoField.none("wlad_load.tlv", "TLV"),
	tag = ProtoField.uint16("wlad_load.tlv.tag", "Tag"),
	tlv_length = ProtoField.uint16("wlad_load.tlv.length", "Octets of the value"),
	value = ProtoField.bytes("wlad_load.tlv.value", "Value"),
}
local CIPHERS = { [1] = "AES-128-GCM", [2] = "AES-256-GCM", [3] = "ChaCha20-Poly1305" }
local PROTOCOLS = { [6] = "TCP", [17] = "UDP" }
local YES_NO = { [0] = "no", [1] = "yes" }

-- What is in TLVs; their names follow the manual page.
local v = {
	version = ProtoField.uint8("wlad_load.version", "VERSION"),
	site = ProtoField.string("wlad_load.site", "SITE"),
	boot_id = ProtoField.uint64("wlad_load.boot_id", "BOOT_ID", base.HEX),
	transfer = ProtoField.ipv6("wlad_load.transfer", "TRANSFER address"),
	transfer_port = ProtoField.uint16("wlad_load.transfer.port", "TRANSFER port"),
	key_index = ProtoField.uint32("wlad_load.key_index", "KEY_INDEX", base.HEX),
	random = ProtoField.bytes("wlad_load.random", "RANDOM"),
	cipher = ProtoField.uint8("wlad_load.cipher", "CIPHER", base.DEC, CIPHERS),
	interval = ProtoField.uint32("wlad_load.interval", "INTERVAL (ms)"),
	demand_port = ProtoField.uint16("wlad_load.demand_port", "DEMAND_PORT"),
	ciphers = ProtoField.uint8("wlad_load.ciphers", "CIPHERS", base.DEC, CIPHERS),
	name = ProtoField.string("wlad_load.service.name", "NAME"),
	number = ProtoField.uint16("wlad_load.service.number", "NUMBER"),
	protocol = ProtoField.uint8("wlad_load.service.protocol", "PROTOCOL", base.DEC, PROTOCOLS),
	ipv4 = ProtoField.ipv4("wlad_load.service.ipv4", "IPV4"),
	ipv6 = ProtoField.ipv6("wlad_load.service.ipv6", "IPV6"),
	port = ProtoField.uint16("wlad_load.service.port", "PORTS"),
	client_address = ProtoField.uint8("wlad_load.service.client_address", "CLIENT_ADDRESS",
		base.DEC, { [0] = "hide", [1] = "PROXY header" }),
	server4 = ProtoField.ipv4("wlad_load.server.ipv4", "SERVER"),
	server6 = ProtoField.ipv6("wlad_load.server.ipv6", "SERVER"),
	server_port = ProtoField.uint16("wlad_load.server.port", "SERVER port"),
	sequence = ProtoField.uint32("wlad_load.sequence", "SEQUENCE"),
	sent = ProtoField.uint64("wlad_load.sent", "SENT (ms)"),
	echo = ProtoField.uint64("wlad_load.echo", "ECHO (ms)"),
	echo_held = ProtoField.uint32("wlad_load.echo_held", "ECHO_HELD (ms)"),
	path_mtu = ProtoField.uint32("wlad_load.path_mtu", "PATH_MTU"),
	direct = ProtoField.uint8("wlad_load.direct", "DIRECT", base.DEC,
		{ [0] = "unknown", [1] = "ok", [2] = "blocked" }),
	up = ProtoField.uint32("wlad_load.up", "UP (I)"),
	not_high = ProtoField.uint32("wlad_load.not_high", "NOT_HIGH (I)"),
	transferable = ProtoField.uint32("wlad_load.transferable", "TRANSFERABLE (II)"),
	permitted = ProtoField.uint8("wlad_load.permitted", "PERMITTED (III)", base.DEC, YES_NO),
	load = ProtoField.uint16("wlad_load.load", "LOAD (IV, of 1000)"),
	active = ProtoField.uint32("wlad_load.active", "ACTIVE"),
	held = ProtoField.uint32("wlad_load.held", "HELD"),
	quota = ProtoField.uint32("wlad_load.quota", "QUOTA (connections in 1000 s)"),
	new = ProtoField.uint32("wlad_load.new", "NEW (connections in 1000 s)"),
	life = ProtoField.uint32("wlad_load.life", "LIFE (ms)"),
	record = ProtoField.none("wlad_load.closed", "Connection"),
	client4 = ProtoField.ipv4("wlad_load.closed.client4", "Client"),
	client6 = ProtoField.ipv6("wlad_load.closed.client6", "Client"),
	client_port = ProtoField.uint16("wlad_load.closed.client_port", "Client's port"),
	service4 = ProtoField.ipv4("wlad_load.closed.service4", "Service"),
	service6 = ProtoField.ipv6("wlad_load.closed.service6", "Service"),
	service_port = ProtoField.uint16("wlad_load.closed.service_port", "Service's port"),
	closed_protocol = ProtoField.uint8("wlad_load.closed.protocol", "Protocol", base.DEC,
		PROTOCOLS),
	closed_flags = ProtoField.uint8("wlad_load.closed.flags", "Flags", base.HEX),
	closed_reset = ProtoField.bool("wlad_load.closed.reset", "Client is to be reset", 8, nil,
		0x01),
	closed_transferor = ProtoField.bool("wlad_load.closed.transferor",
		"The sender has transferred it", 8, nil, 0x02),
	closed_seq = ProtoField.uint32("wlad_load.closed.seq", "Client's next sequence number"),
	load_address = ProtoField.ipv6("wlad_load.load_address", "LOAD address"),
	load_port = ProtoField.uint16("wlad_load.load_address.port", "LOAD port"),
	sites_flags = ProtoField.uint8("wlad_load.sites.flags", "FLAGS", base.HEX),
	sites_first = ProtoField.bool("wlad_load.sites.first", "The first message of a session", 8,
		nil, 0x01),
	sites_last = ProtoField.bool("wlad_load.sites.last", "The last one that tells all", 8, nil,
		0x02),
	gone = ProtoField.uint8("wlad_load.sites.gone", "GONE", base.DEC, YES_NO),
	distance = ProtoField.uint8("wlad_load.sites.distance", "DISTANCE"),
	certificate = ProtoField.bytes("wlad_load.sites.certificate", "CERTIFICATE"),
	silent = ProtoField.uint8("wlad_load.sites.silent", "SILENT", base.DEC, YES_NO),
	age = ProtoField.uint32("wlad_load.sites.age", "AGE (ms)"),
	report = ProtoField.none("wlad_load.sites.report", "Service"),
	probe_id = ProtoField.uint64("wlad_load.probe_id", "ID", base.HEX),
	reason = ProtoField.uint8("wlad_load.reason", "REASON", base.DEC, {
		[1] = "the sender stops", [2] = "the sender starts again",
		[3] = "replaced by a newer session", [4] = "the receiver broke the protocol" }),
}
local fields = {}
for _, group in ipairs({ m, v }) do
	for _, field in pairs(group) do
		fields[#fields + 1] = field
	end
end
wlad_load.fields = fields

local x = {
	reserved = ProtoExpert.new("wlad_load.reserved.set", "Reserved has to be 0",
		expert.group.PROTOCOL, expert.severity.ERROR),
	length = ProtoExpert.new("wlad_load.length.excess", "Longer than a message may be",
		expert.group.MALFORMED, expert.severity.ERROR),
	type = ProtoExpert.new("wlad_load.type.unknown", "Unknown message: skipped and counted",
		expert.group.UNDECODED, expert.severity.NOTE),
	tlv = ProtoExpert.new("wlad_load.tlv.cut", "TLV does not fit",
		expert.group.MALFORMED, expert.severity.ERROR),
	tag = ProtoExpert.new("wlad_load.tlv.unknown", "Unknown TLV: skipped",
		expert.group.UNDECODED, expert.severity.NOTE),
	size = ProtoExpert.new("wlad_load.tlv.size", "Length of a TLV that cannot be",
		expert.group.MALFORMED, expert.severity.ERROR),
	twice = ProtoExpert.new("wlad_load.tlv.twice", "TLV that may come only once",
		expert.group.MALFORMED, expert.severity.ERROR),
	lacks = ProtoExpert.new("wlad_load.tlv.lacks", "TLV that must be there is not",
		expert.group.MALFORMED, expert.severity.ERROR),
	value = ProtoExpert.new("wlad_load.tlv.bad", "Value that cannot be",
		expert.group.PROTOCOL, expert.severity.ERROR),
	reset = ProtoExpert.new("wlad_load.closed.unknown",
		"The sender does not know this connection", expert.group.SEQUENCE,
		expert.severity.CHAT),
	bye = ProtoExpert.new("wlad_load.bye", "The session ends", expert.group.SEQUENCE,
		expert.severity.CHAT),
}
local experts = {}
for _, info in pairs(x) do
	experts[#experts + 1] = info
end
wlad_load.experts = experts

-- Readers of values: each takes the tree of the TLV and the value.

local function number(field, least, most)
	return function(tree, range)
		local item = tree:add(field, range)
		local value = range:len() <= 4 and range:uint() or nil
		if value and ((least and value < least) or (most and value > most)) then
			item:add_proto_expert_info(x.value)
		end
	end
end

local function plain(field)
	return function(tree, range)
		tree:add(field, range)
	end
end

local function name(field)
	return function(tree, range)
		local item = tree:add(field, range)
		if not range:string():find("^[%w%-%._]+$") then
			item:add_proto_expert_info(x.value)
		end
		tree:append_text(" " .. range:string())
	end
end

local function transfer(tree, range)
	tree:add(v.transfer, range(0, 16))
	tree:add(v.transfer_port, range(16, 2))
end

local function load_address(tree, range)
	tree:add(v.load_address, range(0, 16))
	tree:add(v.load_port, range(16, 2))
end

local function sites_flags(tree, range)
	local item = tree:add(v.sites_flags, range)
	item:add(v.sites_first, range)
	item:add(v.sites_last, range)
end

local REPORT_OCTETS = 29

local function reports(tree, range)
	if range:len() % REPORT_OCTETS ~= 0 then
		tree:add_proto_expert_info(x.size)
	end
	for at = 0, range:len() - REPORT_OCTETS, REPORT_OCTETS do
		local item = tree:add(v.report, range(at, REPORT_OCTETS))
		number(v.number)(item, range(at, 2))
		number(v.up)(item, range(at + 2, 4))
		number(v.not_high)(item, range(at + 6, 4))
		number(v.transferable)(item, range(at + 10, 4))
		number(v.permitted, 0, 1)(item, range(at + 14, 1))
		number(v.load, 0, 1000)(item, range(at + 15, 2))
		number(v.active)(item, range(at + 17, 4))
		number(v.new)(item, range(at + 21, 4))
		number(v.life)(item, range(at + 25, 4))
	end
end

local function ports(tree, range)
	if range:len() % 2 ~= 0 then
		tree:add_proto_expert_info(x.size)
	end
	for at = 0, range:len() - 2, 2 do
		number(v.port, 1)(tree, range(at, 2))
	end
end

local function ciphers(tree, range)
	for at = 0, range:len() - 1 do
		tree:add(v.ciphers, range(at, 1))
	end
end

local function server(tree, range)
	local len = range and range:len() or 0

	if len ~= 6 and len ~= 18 then
		tree:add_proto_expert_info(x.size)
		return
	end
	tree:add(len == 6 and v.server4 or v.server6, range(0, len - 2))
	tree:add(v.server_port, range(len - 2, 2))
end

local function record(tree, range, len, client, service)
	local item = tree:add(v.record, range)
	local at = len

	item:add(client, range(0, len))
	item:add(v.client_port, range(at, 2))
	item:add(service, range(at + 2, len))
	at = at + 2 + len
	item:add(v.service_port, range(at, 2))
	local protocol = item:add(v.closed_protocol, range(at + 2, 1))
	if not PROTOCOLS[range(at + 2, 1):uint()] then
		protocol:add_proto_expert_info(x.value)
	end
	local flags = item:add(v.closed_flags, range(at + 3, 1))
	flags:add(v.closed_reset, range(at + 3, 1))
	flags:add(v.closed_transferor, range(at + 3, 1))
	if range(at + 3, 1):bitfield(7, 1) == 1 then
		item:add_proto_expert_info(x.reset)
	end
	item:add(v.closed_seq, range(at + 4, 4))
end

local function records(len, client, service)
	local size = 2 * len + 10

	return function(tree, range)
		local count = math.floor(range:len() / size)
		if range:len() % size ~= 0 then
			tree:add_proto_expert_info(x.size)
		end
		for i = 0, count - 1 do
			record(tree, range(i * size, size), len, client, service)
		end
		tree:append_text(string.format(" %d", count))
	end
end

local function reason(tree, range)
	number(v.reason, 1, 5)(tree, range)
	tree:add_proto_expert_info(x.bye)
end

local walk -- a sequence of TLVs; below, as TLVs nest

local function nested(schema)
	return function(tree, range)
		walk(tree, range, schema)
	end
end

-- By tag: name, shortest and longest value, reader; must: has to be there; many: may repeat.
local SERVICE = {
	[1] = { "NAME", 1, 63, name(v.name), must = true },
	[2] = { "NUMBER", 2, 2, number(v.number), must = true },
	[3] = { "PROTOCOL", 1, 1, number(v.protocol), must = true },
	[4] = { "IPV4", 4, 4, plain(v.ipv4) },
	[5] = { "IPV6", 16, 16, plain(v.ipv6) },
	[6] = { "PORTS", 2, 2048, ports, must = true },
	[7] = { "SERVER", 0, 65535, server, many = true },
	[8] = { "CLIENT_ADDRESS", 1, 1, number(v.client_address) },
}
local REPORT = {
	[1] = { "NUMBER", 2, 2, number(v.number), must = true },
	[2] = { "UP", 4, 4, number(v.up), must = true },
	[3] = { "NOT_HIGH", 4, 4, number(v.not_high), must = true },
	[4] = { "TRANSFERABLE", 4, 4, number(v.transferable), must = true },
	[5] = { "PERMITTED", 1, 1, number(v.permitted, 0, 1), must = true },
	[6] = { "LOAD", 2, 2, number(v.load, 0, 1000), must = true },
	[7] = { "ACTIVE", 4, 4, number(v.active) },
	[8] = { "HELD", 4, 4, number(v.held) },
	[9] = { "QUOTA", 4, 4, number(v.quota) },
	[10] = { "NEW", 4, 4, number(v.new) },
	[11] = { "LIFE", 4, 4, number(v.life) },
	[12] = { "DISTANCE", 1, 1, number(v.distance, 0, 15) },
}
local BETWEEN = { [1] = REPORT[1], [8] = REPORT[8], [9] = REPORT[9] }
local SITE_REPORT = {
	[1] = { "AGE", 4, 4, number(v.age), must = true },
	[2] = { "SEQUENCE", 4, 4, number(v.sequence), must = true },
	[3] = { "SERVICES", 0, 29696, reports },
}
local SITE = {
	[1] = { "NAME", 1, 63, name(v.site), must = true },
	[2] = { "GONE", 1, 1, number(v.gone, 0, 1) },
	[3] = { "DISTANCE", 1, 1, number(v.distance, 0, 15) },
	[4] = { "TRANSFER", 18, 18, transfer },
	[5] = { "LOAD", 18, 18, load_address },
	[6] = { "DEMAND_PORT", 2, 2, number(v.demand_port) },
	[7] = { "CERTIFICATE", 32, 32, plain(v.certificate) },
	[8] = { "INTERVAL", 4, 4, number(v.interval) },
	[9] = { "SERVICE", 0, 65535, nested(SERVICE), many = true },
	[10] = { "SILENT", 1, 1, number(v.silent, 0, 1) },
	[11] = { "REPORT", 0, 65535, nested(SITE_REPORT) },
}
local MESSAGE = {
	[1] = { "HELLO", {
		[1] = { "VERSION", 1, 1, number(v.version, 1, 1), must = true },
		[2] = { "SITE", 1, 63, name(v.site), must = true },
		[3] = { "BOOT_ID", 8, 8, plain(v.boot_id), must = true },
		[4] = { "TRANSFER", 18, 18, transfer },
		[5] = { "KEY_INDEX", 4, 4, number(v.key_index) },
		[6] = { "RANDOM", 16, 16, plain(v.random), must = true },
		[7] = { "CIPHER", 1, 1, number(v.cipher), must = true },
		[8] = { "INTERVAL", 4, 4, number(v.interval) },
		[9] = { "SERVICE", 0, 65535, nested(SERVICE), many = true },
		[10] = { "DEMAND_PORT", 2, 2, number(v.demand_port) },
		[11] = { "CIPHERS", 1, 16, ciphers },
		[12] = { "LOAD", 18, 18, load_address },
	} },
	[2] = { "KEY_READY", {
		[1] = { "INDEX", 4, 4, number(v.key_index, 1), must = true },
	} },
	[3] = { "LOAD", {
		[1] = { "SEQUENCE", 4, 4, number(v.sequence), must = true },
		[2] = { "SENT", 8, 8, plain(v.sent), must = true },
		[3] = { "ECHO", 8, 8, plain(v.echo) },
		[4] = { "ECHO_HELD", 4, 4, number(v.echo_held) },
		[5] = { "SERVICE", 0, 65535, nested(REPORT), many = true },
		[6] = { "PATH_MTU", 4, 4, number(v.path_mtu, 0, 65535) },
		[7] = { "DIRECT", 1, 1, number(v.direct, 0, 2) },
		[8] = { "BETWEEN", 0, 65535, nested(BETWEEN), many = true },
	} },
	[4] = { "CLOSED", {
		[1] = { "IPV4", 0, 18432, records(4, v.client4, v.service4) },
		[2] = { "IPV6", 0, 43008, records(16, v.client6, v.service6) },
	} },
	[5] = { "PROBE", {
		[1] = { "ID", 8, 8, plain(v.probe_id), must = true },
	} },
	[6] = { "SITES", {
		[1] = { "FLAGS", 1, 1, sites_flags, must = true },
		[2] = { "SITE", 0, 65535, nested(SITE), many = true },
	} },
	[7] = { "BYE", {
		[1] = { "REASON", 1, 1, reason, must = true },
	} },
}

local function tlv(tree, range, schema, found)
	local tag, len = range(0, 2):uint(), range:len() - TLV_HEADER
	local known = schema[tag]
	local item = tree:add(m.tlv, range)

	item:set_text(known and known[1] or string.format("unknown TLV %d", tag))
	item:add(m.tag, range(0, 2))
	item:add(m.tlv_length, range(2, 2))
	if not known then
		item:add_proto_expert_info(x.tag)
		if len > 0 then
			item:add(m.value, range(TLV_HEADER, len))
		end
		return
	end
	if found[tag] and not known.many then
		item:add_proto_expert_info(x.twice)
	end
	found[tag] = true
	if len < known[2] or len > known[3] then
		item:add_proto_expert_info(x.size)
	elseif len > 0 then
		known[4](item, range(TLV_HEADER, len))
	elseif known.many then
		known[4](item, nil)
	end
end

-- range nil: empty.
function walk(tree, range, schema)
	local at, len, found = 0, range and range:len() or 0, {}

	while at < len do
		local rest = len - at
		if rest < TLV_HEADER or TLV_HEADER + range(at + 2, 2):uint() > rest then
			tree:add_proto_expert_info(x.tlv)
			return
		end
		local size = TLV_HEADER + range(at + 2, 2):uint()
		tlv(tree, range(at, size), schema, found)
		at = at + size
	end
	for tag, known in pairs(schema) do
		if known.must and not found[tag] then
			tree:add_proto_expert_info(x.lacks, known[1] .. " has to be there")
		end
	end
end

-- One whole message.  Returns its name.
local function message(range, tree)
	local kind, len = range(0, 1):uint(), range:len() - MESSAGE_HEADER
	local known = MESSAGE[kind]
	local title = known and known[1] or string.format("message %d", kind)
	local top = tree:add(wlad_load, range, "wlad load exchange, " .. title)
	local item = top:add(m.type, range(0, 1))

	if not known then
		item:add_proto_expert_info(x.type)
	end
	add_checked(top, m.reserved, range(1, 1), range(1, 1):uint() ~= 0, x.reserved)
	top:add(m.length, range(2, 4))
	if known then
		walk(top, len > 0 and range(MESSAGE_HEADER, len) or nil, known[2])
	elseif len > 0 then
		top:add(m.value, range(MESSAGE_HEADER, len))
	end
	return title
end

function wlad_load.dissector(tvb, pinfo, tree)
	local at, names = 0, {}

	pinfo.cols.protocol = "WLAD-LOAD"
	while at < tvb:len() do
		local rest = tvb:len() - at
		local body = rest >= MESSAGE_HEADER and tvb(at + 2, 4):uint()
		if body and body > BODY_MAX then
			local top = tree:add(wlad_load, tvb(at))
			top:add(m.length, tvb(at + 2, 4)):add_proto_expert_info(x.length)
			names[#names + 1] = "malformed"
			at = tvb:len()
		elseif not body or MESSAGE_HEADER + body > rest then
			-- the rest is in the next segment or record
			pinfo.desegment_offset = at
			pinfo.desegment_len = body and MESSAGE_HEADER + body - rest
				or DESEGMENT_ONE_MORE_SEGMENT
			break
		else
			names[#names + 1] = message(tvb(at, MESSAGE_HEADER + body), tree)
			at = at + MESSAGE_HEADER + body
		end
	end
	if #names > 0 then
		pinfo.cols.info = table.concat(names, ", ")
	end
	return tvb:len()
end

DissectorTable.get("tls.alpn"):add("wlad/1", wlad_load)
DissectorTable.get("tls.port"):add(PORT, wlad_load)
DissectorTable.get("tcp.port"):add_for_decode_as(wlad_load)
