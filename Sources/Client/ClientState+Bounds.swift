import Wire

/// How much of what the server says a hospital remembers where nothing of its own depends on it. Whoever has the server's
/// key can say it of any number of sessions, and the state must stay one that can be loaded: also the command that distrusts
/// that key loads it.
extension ClientState {
    /// Of sessions that ended before a global of them came, besides those that a request of this hospital leads to.
    package static let endingsKept = 200
    /// Numbers of decisions. Beyond that a tenth of them goes at once.
    package static let decisionsKept = 2_000
    /// Of how many of the server's keys the word about one own key is kept that is believed no more.
    package static let revocationsKept = 8

    /// Notes that a session is over before its first global.
    ///
    /// - Returns: whether that is new.
    mutating func note(_ ending: Ending, of id: RandomID) -> Bool {
        let former = over[id.hex]
        var ending = ending
        ending.turn = former?.turn ?? (over.values.map(\.turn).max() ?? 0) + 1
        over[id.hex] = ending
        boundEndings()
        return former == nil
    }

    /// What only a revoked key has said goes first, then what was said first.
    mutating func boundEndings() {
        guard over.count > Self.endingsKept else { return }
        let asked = Set(requests.compactMap { $0.session?.hex })
        let others = over.filter { !asked.contains($0.key) }.sorted {
            ($0.value.speaker.isRevoked ? 0 : 1, $0.value.turn) < ($1.value.speaker.isRevoked ? 0 : 1, $1.value.turn)
        }
        for (id, _) in others.dropLast(Self.endingsKept) { over[id] = nil }
    }

    /// The lowest go first, of what this hospital never sent: what they would keep back has been taken before, or is about
    /// nothing here. Those of statements about keys are as many as there are keys.
    ///
    /// - Parameter enrolment: the bundle of this hospital's own enrolment.
    mutating func boundDecisions(enrolment: Digest?) {
        guard newestDecision.count > Self.decisionsKept else { return }
        let own = Set(
            (requests.map(\.id) + requests.compactMap(\.withdrawal) + [enrolment].compactMap(\.self)).map(\.hex))
        let order = newestDecision.filter { !$0.key.hasPrefix("trust ") }.map { entry in
            (isOwn: own.contains(String(entry.key.prefix { $0 != " " })) ? 1 : 0, number: entry.value, key: entry.key)
        }.sorted { ($0.isOwn, $0.number, $0.key) < ($1.isOwn, $1.number, $1.key) }
        for entry in order.prefix(newestDecision.count - Self.decisionsKept * 9 / 10) {
            newestDecision[entry.key] = nil
        }
    }

    /// Each of the server's keys has a word about each own key, and whoever has one introduces others. What a revoked key has
    /// said goes first, then what was said first.
    mutating func boundRevocations(gone: Set<String>) {
        var dropped: Set<Int> = []
        for (_, places) in Dictionary(grouping: revocations.indices, by: { revocations[$0].key }) {
            let order = places.sorted { left, right in
                let rank = (gone.contains(revocations[left].signer), gone.contains(revocations[right].signer))
                return rank.0 == rank.1 ? left < right : rank.0
            }
            dropped.formUnion(order.dropLast(Self.revocationsKept))
        }
        guard !dropped.isEmpty else { return }
        revocations = revocations.indices.filter { !dropped.contains($0) }.map { revocations[$0] }
    }
}
