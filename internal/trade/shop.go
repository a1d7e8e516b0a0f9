package trade

// store is one of the chain's shops.
type store struct {
	code, name, source, channel string
}

// Person is who receives each order: what stands where a real shop has a name.
const Person = "收货人甲"

var stores = []store{
	{"XH", "徐汇店", "pos/shanghai-001", "门店"},
	{"JA", "静安寺店", "pos/shanghai-002", "门店"},
	{"WJC", "五角场店", "pos/shanghai-003", "门店"},
	{"XHQ", "西湖银泰店", "pos/hangzhou-001", "门店"},
	{"GZ", "苏州观前店", "pos/suzhou-001", "门店"},
	{"TM", "天猫旗舰店", "shop/tmall", "天猫"},
	{"WX", "微信小程序", "shop/miniapp", "小程序"},
}

// product is what a shop sells; the price is in cents.
type product struct {
	id, sku, name, category string
	price                   int64
}

var products = []product{
	{"P1001", "S1001-330", "青岛啤酒 330ml×6", "酒水", 3990},
	{"P1002", "S1002-500", "农夫山泉 东方树叶 500ml", "饮料", 550},
	{"P1003", "S1003-1L", "光明 优倍鲜牛奶 950ml", "乳品", 2190},
	{"P1004", "S1004-10", "五常大米 10kg", "粮油", 12900},
	{"P1005", "S1005-5", "鲁花 压榨花生油 5L", "粮油", 16990},
	{"P1006", "S1006-3", "维达 抽纸 3层 24包", "日用", 6580},
	{"P1007", "S1007-100", "西湖龙井 明前 100g", "茶叶", 32800},
	{"P1008", "S1008-12", "大白兔奶糖 500g", "零食", 4250},
	{"P1009", "S1009-1", "阳澄湖大闸蟹 礼盒", "生鲜", 59800},
	{"P1010", "S1010-8", "五芳斋 鲜肉粽 8只", "速冻", 5680},
	{"P1011", "S1011-2", "羽绒被 200×230cm", "家纺", 89900},
	{"P1012", "S1012-M", "真丝围巾", "服饰", 26900},
	{"P1013", "S1013-42", "飞跃 小白鞋 42", "服饰", 15900},
	{"P1014", "S1014-1", "保温杯 500ml", "日用", 12999},
	{"P1015", "S1015-30", "护手霜 30ml", "美妆", 2905},
	{"P1016", "S1016-1", "购物袋", "其他", 30},
}

var refundReasons = []string{"七天无理由退货", "商品破损", "尺码不合适", "重复下单", "少发漏发"}

var grants = []struct{ pattern, remark string }{
	{"2", "消费送积分"}, {"1", "签到送积分"}, {"3", "活动奖励"}, {"5", "生日双倍积分"},
}

var spends = []struct{ pattern, remark string }{
	{"1", "积分兑换礼品"}, {"2", "积分抵现"}, {"4", "积分抽奖"},
}
