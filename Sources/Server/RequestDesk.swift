package import Federation
package import Wire

/// What the files on the request desk mean, decided over values: which request lies where, and what follows.
///
/// 1. A file is recognised by its content (the bundle's id), never by its name; `Mailbox.Desk` has settled already that
///    rejected wins over approved, and approved over pending.
/// 2. `approved/` itself makes a session of its own; `approved/NAME/` joins the session NAME.
/// 3. A pending request that has expired cannot be approved any more.
/// 4. Moving an approved request to `rejected/` drops its client from the session, as long as that goes on.
/// 5. What was decided stays decided: a file that is moved back, or to another session's folder, changes nothing, and that is
///    said. A file stays where it is when its client leaves by another way; that is no move.
/// 6. `pending/` holds what waits: the file of a request that is decided is taken away.
package enum RequestDesk {
    package enum Place: Hashable, Sendable {
        case pending
        /// nil: lies directly in `approved/`.
        case approved(session: String?)
        case rejected
    }

    package enum Action: Equatable, Sendable {
        /// - `session`: the folder's name; nil for a session of its own.
        case approve(Digest, session: String?)
        case reject(Digest)
        /// A request that was approved before now lies in `rejected/`.
        case drop(Digest, session: RandomID)
        case expire(Digest)
        /// Nothing is to be decided of it any more.
        case clear(Digest)
        /// Lies in `pending/` but was decided before; to be said, and its file to be taken away.
        case undo(Digest)
        /// Lies in `approved/` but expired before; to be said once.
        case tooLate(Digest)
        /// Lies in `approved/` but was rejected, withdrawn or dropped before; to be said once.
        case overruled(Digest)
        /// Lies in another place of `approved/` than that of its session; to be said once.
        case misplaced(Digest, session: String?)
        /// Lies in `rejected/`, but its session is over; to be said once.
        case tooLateToDrop(Digest)
    }

    package static func actions(
        places: [Digest: Place], records: DeskRecords, sessions: [Session], now: Timestamp
    ) -> [Action] {
        records.requests.compactMap { record in
            let place = places[record.id]
            switch (record.status, place) {
            case (.pending, .rejected): return .reject(record.id)
            case (.pending, .approved(let session)):
                return now <= record.expires ? .approve(record.id, session: session) : .tooLate(record.id)
            case (.pending, _): return now > record.expires ? .expire(record.id) : nil
            case (.withdrawn, .pending), (.expired, .pending): return .clear(record.id)
            case (.expired, .approved): return .tooLate(record.id)
            case (.rejected, .approved), (.withdrawn, .approved): return .overruled(record.id)
            case (.rejected, .pending): return .undo(record.id)
            case (.approved, let place?):
                // What became of it nobody can say while its session cannot be read.
                return sessions.first { $0.id == record.session }.flatMap { action(on: record, at: place, in: $0) }
            default: return nil
            }
        }
    }

    private static func action(
        on record: DeskRecords.RequestRecord, at place: Place, in session: Session
    ) -> Action? {
        switch place {
        case .pending: return .undo(record.id)
        case .approved where record.isDropped: return .overruled(record.id)
        case .approved(let group): return group == session.folder ? nil : .misplaced(record.id, session: group)
        case .rejected:
            // A client that was dropped and came back with a new request is not dropped again for the old one.
            guard let participant = session[record.client], participant.request == record.id else { return nil }
            guard session.isOver else { return .drop(record.id, session: session.id) }
            return participant.standing == .active ? .tooLateToDrop(record.id) : nil
        }
    }
}
