import Bundles
import Federation
import Foundation
import Testing
import Wire

/// A hospital's new key that is approved, or whose approval arrives, after the old one's end.
@Suite struct LateRotationTests {
    /// The key of `a` ends in 15 days, and a session of a and b is open.
    private func world() throws -> World {
        let world = try World.enrolled()
        try world.configure("S", "deadline: 200d")
        try world.succeed("key", "rotate", "--home", "a", "--valid-days", "100")
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        world.advance(days: 85)
        try world.startSession("spring", ["a", "b"])
        return world
    }

    private func announceAKey(_ world: World) throws {
        try world.succeed("key", "rotate", "--home", "a")
        // Its update, where there is one, stays with the courier.
        try world.shell("cp a/outbox/enrol-* S/inbox/")
        try world.serve()
    }

    private func finish(_ world: World) throws {
        try world.answer("a")
        try world.visit("b")
        try world.answer("b")
        try world.serve()
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
        #expect(try world.history("spring").first?.fate(of: "hospital-b") == "counted")
    }

    /// Trained in its time and carried late: the admin takes the new key before the update comes.
    @Test func whatTheOldKeySignedInItsTimeCountsAfterALateApproval() throws {
        let world = try world()
        let old = try world.fingerprint("a")
        try world.visit("a")
        try announceAKey(world)
        world.advance(days: 25)
        try world.serve()
        let desk = try world.text("S/enrolments/PENDING.txt")
        #expect(desk.contains("TOO LATE") && desk.contains("old key  \(old)"), "\(desk)")
        #expect(!desk.contains("revoked at once"), "\(desk)")
        try world.approveEnrolments()
        #expect(try world.trusted("hospital-a", at: "S").contains(old))
        #expect(!world.names("a/outbox", "update").isEmpty)
        try finish(world)
        // The hospital goes on with the new one.
        let visit = try world.visit("a")
        #expect(visit.output.contains("it signs from now on"), "\(visit)")
        try world.request(["a"])
    }

    /// Trained after the old key's end, since nobody had decided about the new one: that is signed anew by it.
    @Test func whatTheOldKeySignedAfterItsEndIsSignedAnewOnceTheNewOneIsTaken() throws {
        let world = try world()
        try announceAKey(world)
        world.advance(days: 25)
        try world.visit("a")
        try world.shell("cp a/outbox/update-* S/inbox/")
        #expect(try world.serve().output.contains("its key was not valid on"))
        try world.approveEnrolments()
        let visit = try world.visit("a")
        #expect(visit.output.contains("the update of round 1 is signed anew"), "\(visit)")
        #expect(world.names("a/outbox", "update").count == 1)
        try finish(world)
        #expect(try world.visit("a").output.contains("signed anew") == false)
    }

    /// The approval takes longer than the overlap: the hospital trains meanwhile, and its old key is over at the server.
    @Test func anApprovalThatIsUnderWayForLongerThanTheOverlapLosesNoUpdate() throws {
        let world = try World.enrolled()
        try world.configure("S", "deadline: 200d")
        try announceAKey(world)
        try world.approveEnrolments()
        try world.shell("mkdir kept && mv S/outbox/decision-* kept/")
        try world.startSession("spring", ["a", "b"])
        world.advance(days: 65)
        try world.visit("a")
        try world.shell("cp a/outbox/update-* S/inbox/ && mv kept/* S/outbox/")
        #expect(try world.serve().output.contains("its key was not valid on"))
        let visit = try world.visit("a")
        #expect(visit.output.contains("the update of round 1 is signed anew"), "\(visit)")
        try finish(world)
    }

    // MARK: attacks

    /// An old key that has been followed vouches for nobody, as on the day after it was followed.
    @Test func aKeyThatWasFollowedIsNoLateOne() throws {
        let world = try world()
        let found = try world.key("a")
        try announceAKey(world)
        let enrolment = try #require(world.names("a/outbox", "enrol").first)
        try world.shell("mkdir S/kept && cp a/outbox/\(enrolment) S/kept/")
        try world.approveEnrolments()
        try world.visit("a")
        world.advance(days: 100)
        let thief = SigningKey.generate()
        try world.forge("S/kept/\(enrolment)", key: thief, to: "S/inbox/enrol-forged.tar") { manifest, payload in
            manifest.seq += 10
            manifest.created = world.now
            manifest.expires = world.now.adding(days: 10)
            let known = try Enrolment(decoding: payload[0].bytes)
            let forged = Enrolment(
                name: known.name, key: thief.publicKey.openSSHLine, ageRecipient: known.ageRecipient,
                contact: known.contact, serverKey: known.serverKey, federation: known.federation, validUntil: nil)
            let vouch = try found.sign(forged.encoded, namespace: BundleKind.enrol.namespace)
            payload = [(Enrolment.fileName, forged.encoded), (Enrolment.vouchName, vouch)]
        }
        try world.serve()
        let desk = try world.text("S/enrolments/PENDING.txt")
        #expect(desk.contains("THE NAME hospital-a IS TAKEN") && !desk.contains("TOO LATE"), "\(desk)")
        #expect(desk.contains("it is signed by \(found.publicKey.fingerprint), which is not believed"), "\(desk)")
    }
}
