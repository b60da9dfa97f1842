import Wire

/// What was taken of a client before its key was revoked.
extension Session {
    /// Takes an update out of the open round, as if it had not come. Rounds that are closed, or being averaged, stay as their
    /// account says: others have trained further from them.
    ///
    /// Whoever signed it may have said, too, that the client has the frozen tensors.
    mutating func disown(_ client: PartyName, _ bundle: Digest) -> [SessionEffect] {
        guard !isOver, let open = round, open.frozen == nil,
            open.received.contains(where: { $0.client == client && $0.bundle == bundle })
        else { return [] }
        round?.received.removeAll { $0.bundle == bundle }
        round?.superseded.append(bundle)
        round?.superseded.sort()
        change(client) { $0.hasBase = false }
        if let known = self[client], known.standing == .active, known.firstRound <= open.number { tellAgain(client) }
        return [.updateDisowned(client, round: open.number)]
    }
}
