package import Wire

/// `request.json`: a hospital's wish to train. Only the fields that it named are compared with the plan later.
package struct TrainingRequest: Message {
    package static let fileName = "request.json"

    package var wishes: PlanWishes
    /// Pictures that the hospital will contribute, by class; the bound of what its updates may claim.
    package var pictures: [String: Int]
    /// A line for the admin; may be empty.
    package var message: String

    package init(wishes: PlanWishes, pictures: [String: Int], message: String = "") {
        self.wishes = wishes
        self.pictures = pictures
        self.message = message
    }

    package var pictureCount: Int { pictures.values.reduce(0, +) }

    package var json: JSONValue {
        [
            "wishes": wishes.json, "pictures": .object(pictures.mapValues { JSONValue($0) }),
            "message": .string(message),
        ]
    }

    package init(reading object: inout ObjectReader) throws {
        wishes = try PlanWishes(try object.value("wishes"))
        pictures = try object.pictures("pictures")
        message = try object.text("message")
    }
}

extension ObjectReader {
    /// Picture counts by class name.
    mutating func pictures(_ key: String) throws -> [String: Int] {
        var counts = try object(key)
        var pictures: [String: Int] = [:]
        guard counts.keys.count <= FederationLimits.classes.upperBound, counts.keys.allSatisfy(isClassName) else {
            throw problem(key, "must give a picture count for each class name")
        }
        for name in counts.keys { pictures[name] = try counts.count(name, in: FederationLimits.pictures) }
        return pictures
    }
}
