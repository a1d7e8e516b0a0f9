package pospal

// The document that we have lost the capital letters of its names, so that these
// come from elsewhere. Those of the operations and of what is sent are what several
// clients use, useDateTime excepted, which nobody else is known to send. To send
// another name, change it here.
const (
	sentAppID     = "appId"
	sentPromotion = "promotionCouponUid"
	sentCustomer  = "customerUid"
	sentCode      = "code"
	sentUsedAt    = "useDateTime"
	sentFrom      = "startTime"
	sentTo        = "excludeEndTime" // not included
	sentBack      = "postBackParameter"
)

// Where the operations are. The reads are below one folder, and the document has
// the writes in another.
const (
	reads              = "/pospal-api2/openapi/v1/promotionOpenApi/"
	pathPromotion      = reads + "queryCouponPromotionByUid"
	pathPromotions     = reads + "queryCouponPromotions"
	pathPromotionPages = reads + "queryPromotionPages"
	pathCustomerCodes  = reads + "queryCustomerCouponCodePage"
	pathUsedCodes      = reads + "queryUsedPromotionCode"

	writes  = "/pospal-api/api/auth/openapi"
	addCode = "/promotion/addCouponcode"
	useCode = "/promotioncouponcode/use"
)

// What is read, in the spellings that it may have; case doesn't count, so that the
// folded names of the document are right as they are.
var (
	nameStatus    = []string{"status"}
	nameCode      = []string{"code"}
	nameErrorCode = []string{"errorCode"}
	nameMessages  = []string{"messages", "message"}
	nameData      = []string{"data"}
	nameResult    = []string{"result"}
	namePageSize  = []string{"pageSize"}
	nameBack      = []string{"postBackParameter"}
	namePromotion = []string{"promotionCouponUid"}
	nameCustomer  = []string{"customerUid", "customrUid"} // both are met
	nameUsedAt    = []string{"usedDateTime", "useDateTime"}
	nameUsedBy    = []string{"usedByUserAppId", "useByUserAppId"}
)
