"""Certificate Transparency as values: bytes in, proofs, names and events out. No sockets, no clocks, no disk.

merkle, tiles        the compact tree that rebuilds a log's root; proofs from hashes and from tiles
heads, loglist       signed tree heads, and the list of logs whose keys sign them
entries              RFC 6962 entries and data tiles; what was issued, by the hash of its TBS
walk, description    the names in a certificate, whatever its state; everything else of it, for people
watchset, suffixes   whose names these are; lookalikes: whose they imitate
sift                 a batch of entries in one go: leaf hashes and hits
monitor              a log's position, and what its heads and entries mean
issuance             precertificate and certificate, over all logs, as one event
"""
